package mode

import (
	"context"
	"fmt"
	"path"
	"regexp"
	"strings"
	"time"

	"github.com/org/neon-tenants-action/internal/backups"
	"github.com/org/neon-tenants-action/internal/bucket"
	"github.com/org/neon-tenants-action/internal/catalog"
	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/github"
	"github.com/org/neon-tenants-action/internal/hosts"
	"github.com/org/neon-tenants-action/internal/input"
	"github.com/org/neon-tenants-action/internal/postgres"
)

// Store is the bucket that the inputs name. A mode opens it in Prepare.
type Store struct {
	backups.Store
	options bucket.Options
}

var (
	accountID = regexp.MustCompile(`^\d{12}$`)
	roleName  = regexp.MustCompile(`^[\w+=,.@/-]{1,512}$`)
	// S3-compatible stores have their own partitions: arn:minio:iam:::role/...
	roleARN = regexp.MustCompile(`^arn:[\w-]+:iam::\d*:role/.+$`)
	session = regexp.MustCompile(`^[\w+=,.@-]{2,64}$`)
)

// ReadStore reads the inputs about the bucket and its credentials. Mistakes are left with in.
func ReadStore(in *input.Reader) *Store {
	s := &Store{options: bucket.Options{
		Bucket:         readBucket(in),
		Prefix:         readPrefix(in),
		Region:         in.String("aws-region"),
		PathStyle:      in.Bool("s3-path-style"),
		SessionName:    in.String("role-session-name"),
		Duration:       time.Duration(in.Int("role-duration-seconds", 900, 43200)) * time.Second,
		StorageClass:   in.String("s3-storage-class"),
		KMSKeyID:       in.String("s3-kms-key-id"),
		ObjectLockDays: in.Int("s3-object-lock-days", 1, 36500),
	}}
	o := &s.options
	if o.Region == "" && in.Variable("AWS_REGION") == "" && in.Variable("AWS_DEFAULT_REGION") == "" {
		in.Mistake("aws-region",
			"is required here and is empty; set it to the bucket's region, such as eu-central-1, or set AWS_REGION")
	}
	if u := in.URL("s3-endpoint"); u != nil {
		if hosts.Exposed(u) {
			in.Mistake("s3-endpoint", "every backup would be sent unencrypted to %s; write https:// "+
				"(http:// is for this machine and private networks)", u.Host)
		}
		checkEndpoint(in, u, o.Bucket)
		o.Endpoint = u.String()
	}
	if !session.MatchString(o.SessionName) {
		in.Mistake("role-session-name", "%q is not 2 to 64 letters, digits or any of _+=,.@-", o.SessionName)
	}
	o.RoleARN = role(in)
	if o.RoleARN != "" {
		request, token := in.Variable("ACTIONS_ID_TOKEN_REQUEST_URL"), in.Variable("ACTIONS_ID_TOKEN_REQUEST_TOKEN")
		if request == "" || token == "" {
			in.Mistake("role-to-assume", "the job may not ask GitHub for an identity token; add to the job:\n"+
				"      permissions:\n        id-token: write\n        contents: read")
		}
		o.Token = func(ctx context.Context, audience string) (string, error) {
			return github.IDToken(ctx, nil, request, token, audience)
		}
	}
	return s
}

// role returns the ARN of the role to assume. It is empty if AWS's default credential chain is to be used, and after a
// mistake may be anything.
func role(in *input.Reader) string {
	arn, account, name := in.String("role-to-assume"), in.String("aws-account-id"), in.String("iam-role")
	switch {
	case arn != "" && (account != "" || name != ""):
		in.Mistake("role-to-assume", "already names the role; leave out aws-account-id and iam-role")
	case arn != "" && !roleARN.MatchString(arn):
		in.Mistake("role-to-assume", "%q is not a role ARN such as arn:aws:iam::123456789012:role/backup", arn)
	case arn != "":
		return arn
	case account == "" && name == "":
		return ""
	case !accountID.MatchString(account):
		in.Mistake("aws-account-id", "%q is not a 12-digit account ID, which iam-role needs", account)
	case !roleName.MatchString(name):
		in.Mistake("iam-role", "%q is not a role name, which aws-account-id needs", name)
	default:
		return "arn:aws:iam::" + account + ":role/" + name
	}
	return arn
}

// Open gets credentials and checks that the bucket can be read. streams is how many uploads run at once, at most.
// Errors: as [bucket.Open].
func (s *Store) Open(ctx context.Context, streams int) (err error) {
	s.options.Streams = streams
	s.Bucket, err = bucket.Open(ctx, s.options)
	return err
}

// Close releases what Open acquired; it may be called without Open.
func (s *Store) Close() {
	if s.Bucket != nil {
		s.Bucket.Close()
	}
}

// ClockTrouble says what is wrong with the clocks if they cannot decide what is old; empty if they can.
func (s *Store) ClockTrouble() string {
	skew, known := s.Skew()
	switch {
	case !known:
		return "the store does not send the time"
	case skew.Abs() <= backups.MaxSkew:
		return ""
	}
	const layout = time.DateTime + " UTC"
	now := s.Now().UTC()
	return fmt.Sprintf("the store's clock says %s and this runner's %s", now.Format(layout), now.Add(-skew).Format(layout))
}

// Owner returns the tenant as the owner of its backups. target is where the tenant is; zero if that is not known yet.
func Owner(env Env, t fleet.Tenant, target postgres.Target) backups.Owner {
	var place fleet.Place
	if l, ok := env.Source.(fleet.Locator); ok {
		place = l.Place(t)
	}
	if place.NeonProjectID != "" { // its connection string says which database that is
		place.Database = ""
	}
	origin := backups.Origin{
		Server: place.Server, Database: place.Database, Branch: place.NeonBranch, Schema: env.Schema(t),
	}
	if !target.Zero() {
		origin.Server, origin.Database = target.Server(), target.Database()
		if place.NeonProjectID != "" { // the host names the compute, and so the branch
			origin.Server = strings.ToLower(target.Host())
		}
	}
	return backups.Owner{ID: t.ID, Origin: origin}
}

// BackupFacts returns what the catalog records about the verified backup with that key, nothing if the key is empty.
func BackupFacts(key string) catalog.Facts {
	folder, _ := path.Split(key)
	k, ok := backups.ParseKey(folder, key)
	if !ok {
		return catalog.Facts{}
	}
	return catalog.Facts{BackupKey: k.String(), BackupAt: k.Time}
}
