package action

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/org/neon-tenants-action/internal/bucket/buckettest"
	"github.com/org/neon-tenants-action/internal/mode/backup"
	"github.com/org/neon-tenants-action/internal/neon/neontest"
	"github.com/org/neon-tenants-action/internal/postgres/pgtest"
	"github.com/org/neon-tenants-action/internal/servertest"
)

// vault is a bucket of a MinIO whose role a job may assume.
type vault struct {
	*buckettest.Trusting
	bucket string
}

// vaults is the MinIO of all.
var vaults servertest.Shared[*buckettest.Trusting]

func newVault(t *testing.T) *vault {
	t.Helper()
	s, err := vaults.Get(startStore)
	buckettest.Need(t, err)
	return &vault{s, buckettest.Bucket(t, s.Server, false)}
}

// startStore also sets AWS's own configuration, which the SDK reads by itself, for the rest of the test binary.
func startStore() (*buckettest.Trusting, error) {
	s, err := buckettest.StartTrusting()
	if err != nil {
		return nil, err
	}
	return s, errors.Join(os.Setenv("AWS_ENDPOINT_URL_STS", s.URL), os.Setenv("AWS_CA_BUNDLE", s.CAFile))
}

// inputs of a job with permission to ask for a token.
func (v *vault) inputs(more ...string) []string {
	return append([]string{
		"s3-bucket=" + v.bucket, "s3-endpoint=" + v.URL, "s3-path-style=true", "aws-region=" + buckettest.Region,
		"s3-prefix=tenants",
		"role-to-assume=" + v.RoleARN, "$ACTIONS_ID_TOKEN_REQUEST_URL=" + v.Issuer.RequestURL,
		"$ACTIONS_ID_TOKEN_REQUEST_TOKEN=" + v.Issuer.RequestToken,
	}, more...)
}

// keys lists what is in the bucket, and fails where an upload was left unfinished.
func (v *vault) keys(t *testing.T) []string {
	t.Helper()
	keys := buckettest.Keys(t, v.Server, v.bucket)
	uploads, err := v.Client().ListMultipartUploads(t.Context(), &s3.ListMultipartUploadsInput{Bucket: &v.bucket})
	if err != nil || len(uploads.Uploads) > 0 {
		t.Errorf("%d unfinished uploads, %v", len(uploads.Uploads), err)
	}
	return keys
}

func (v *vault) put(t *testing.T, keys ...string) {
	t.Helper()
	for _, key := range keys {
		if _, err := v.Client().PutObject(t.Context(),
			&s3.PutObjectInput{Bucket: &v.bucket, Key: &key, Body: strings.NewReader("old")}); err != nil {
			t.Fatal(err)
		}
	}
}

// putBackup stores what a run of version 1 of the manifest left: a backup of that tenant, without its origin.
func (v *vault) putBackup(t *testing.T, tenantID string, keys ...string) {
	t.Helper()
	v.put(t, keys...)
	for _, key := range keys {
		v.putText(t, key+".json",
			fmt.Sprintf(`{"version": 1, "key": %q, "tenant": {"id": %q}, "stored_size": 3, "stored_sha256": %q}`,
				key, tenantID, strings.Repeat("0", 64)))
	}
}

func (v *vault) putText(t *testing.T, key, text string) {
	t.Helper()
	if _, err := v.Client().PutObject(t.Context(),
		&s3.PutObjectInput{Bucket: &v.bucket, Key: &key, Body: strings.NewReader(text)}); err != nil {
		t.Fatal(err)
	}
}

func detail[T any](t *testing.T, o outcome, tenant string) T {
	t.Helper()
	var d T
	for _, e := range o.report.Tenants {
		if e.Name == tenant {
			if err := json.Unmarshal(e.Detail, &d); err != nil {
				t.Fatal(err)
			}
		}
	}
	return d
}

func TestBackupThenRestore(t *testing.T) {
	f, v := newFleet(t, named("ACME Corp", "Payroll Inc")...), newVault(t)
	f.run(t, t.Context()).counts(t, 2, 0, 0, 0)
	query(t, f.projects[0],
		"insert into users (email, name) select 'u' || i || '@x', 'é' || i from generate_series(1, 1000) i")
	old := buckettest.BackupKey("tenants/acme-corp/", time.Now().Add(-10*24*time.Hour))
	stranger := "tenants/acme-corp/notes.txt"
	v.putBackup(t, f.projects[0].ID, old)
	v.put(t, stranger)

	o := f.run(t, t.Context(), v.inputs("mode=backup", "dry-run=true")...)
	o.counts(t, 2, 0, 0, 0)
	o.says(t, "1 to prune", "To prune: 1 backup\n", old+": older than 7 days")
	if got := v.keys(t); len(got) != 3 {
		t.Errorf("a dry run left %v", got)
	}

	verifyOn := verifier(t)
	o = f.run(t, t.Context(), v.inputs("mode=backup", "verify=restore", "verify-database-url="+verifyOn)...)
	o.counts(t, 2, 0, 0, 0)
	o.keeps(t, f.projects)
	d := detail[backup.Detail](t, o, "ACME Corp")
	if d.Verified != "restore" || d.SchemaVersion != "20250101090200" || len(d.Pruned) != 1 || d.Pruned[0].Key != old {
		t.Errorf("detail: %+v", d)
	}
	keys := v.keys(t)
	if len(keys) != 5 || slices.Contains(keys, old) || !slices.Contains(keys, stranger) || !slices.Contains(keys, d.Key) ||
		!slices.Contains(keys, d.Key+".json") {
		t.Errorf("the bucket has %v", keys)
	}
	same(t, "left behind", scratchesOf(t, verifyOn), []string{})

	// Into a database of one's own.
	target := pgtest.Database(t)
	o = f.run(t, t.Context(), v.inputs("mode=restore", "tenants=ACME Corp", "restore-url="+target)...)
	o.counts(t, 1, 0, 0, 0)
	o.says(t, "1003 rows in 4 tables")
	if o.outputs["backup-key"] != d.Key {
		t.Errorf("backup-key is %q", o.outputs["backup-key"])
	}
	// It is not empty any more.
	o = f.run(t, t.Context(), v.inputs("mode=restore", "tenants=ACME Corp", "restore-url="+target)...)
	o.counts(t, 0, 0, 1, 0)
	o.says(t, "overwrite: true")
	f.run(t, t.Context(), v.inputs("mode=restore", "tenants=ACME Corp", "restore-url="+target, "overwrite=true",
		"backup-key="+path.Base(d.Key)+".json")...).counts(t, 1, 0, 0, 0)
	// A key that is not there is answered with those that are, and text that is no key before any call.
	wrong := buckettest.BackupKey("tenants/acme-corp/", time.Now().Add(-time.Hour))
	o = f.run(t, t.Context(), v.inputs("mode=restore", "tenants=ACME Corp", "restore-url="+target, "overwrite=true",
		"backup-key=s3://"+v.bucket+"/"+wrong)...)
	o.counts(t, 0, 0, 1, 0)
	o.says(t, "there is no backup "+wrong, "name one of its newest ("+d.Key+")")
	f.run(t, t.Context(), v.inputs("mode=restore", "tenants=ACME Corp", "restore-url="+target,
		"backup-key=newest")...).says(t, "backup-key: ")

	// Into places that Neon makes.
	for _, into := range []string{"new-project", "branch"} {
		o = f.run(t, t.Context(), v.inputs("mode=restore", "tenants=ACME Corp", "restore-into="+into)...)
		o.counts(t, 1, 0, 0, 0)
		d := detail[backup.RestoreDetail](t, o, "ACME Corp")
		if d.TargetID == "" || len(d.Tables) != 4 {
			t.Errorf("%s: %+v", into, d)
		}
		o.says(t, d.TargetName+" ("+d.TargetID+")", "1 "+strings.TrimPrefix(into, "new-")+" made, ", " of Neon's API")
	}
	f.run(t, t.Context(), v.inputs("mode=restore", "tenants=Payroll Inc", "restore-url="+target,
		"dry-run=true")...).counts(t, 1, 0, 0, 0)
}

func TestBackupOfABadTenantTouchesNothingOfIt(t *testing.T) {
	f, v := newFleet(t, neontest.Spec{Name: "good"}, neontest.Spec{Name: "bad"}), newVault(t)
	for i, tenant := range []string{"good", "bad"} {
		for days := 20; days > 10; days -= 5 {
			v.putBackup(t, f.projects[i].ID, buckettest.BackupKey("tenants/"+tenant+"/", time.Now().AddDate(0, 0, -days)))
		}
	}
	// A table that the role may not read: pg_dump fails, after it began.
	query(t, f.projects[1], "create table secret (i int); revoke all on secret from current_user")
	if err := pgtest.Shared(t).Exec(t.Context(), databaseOf(t, f.projects[1]),
		"alter table secret owner to postgres"); err != nil {
		t.Fatal(err)
	}
	o := f.run(t, t.Context(), v.inputs("mode=backup")...)
	o.counts(t, 1, 0, 1, 0)
	if o.report.Tenants[0].Name == "bad" && o.report.Tenants[0].Error.Remedy == "" {
		t.Errorf("no remedy: %+v", o.report.Tenants[0].Error)
	}
	bad, good := 0, 0
	for _, key := range v.keys(t) {
		if strings.HasPrefix(key, "tenants/bad/") {
			bad++
		} else {
			good++
		}
	}
	if bad != 4 || good != 2 { // good: the new one and its manifest
		t.Errorf("%d objects of bad, %d of good: %v", bad, good, v.keys(t))
	}
}

func databaseOf(t *testing.T, p neontest.Project) string {
	t.Helper()
	return query(t, p, "select current_database()")
}

func TestBackupMistakes(t *testing.T) {
	f := newFleet(t, named("a")...)
	o := f.run(t, t.Context(), "mode=backup", "s3-bucket=b", "aws-account-id=12", "role-duration-seconds=10",
		"compression=lz4", "pg-dump-args=-f x", "age-recipients=age1x", "verify=restore")
	for _, text := range []string{"aws-region: ", "aws-account-id: ", "role-duration-seconds: ", "compression: ",
		"pg-dump-args: ", "age-recipients: ", "verify-database-url: "} {
		o.says(t, "- "+text)
	}
	o = f.run(t, t.Context(), "mode=backup", "s3-bucket=b", "aws-region=x",
		"role-to-assume=arn:aws:iam::123456789012:role/r")
	o.says(t, "id-token: write")
	o = f.run(t, t.Context(), "mode=restore", "s3-bucket=b", "aws-region=x", "restore-into=branch",
		"restore-url=postgres://u:p@h/d")
	o.says(t, "restore-into: contradicts restore-url")
	o = f.run(t, t.Context(), "mode=restore", "s3-bucket=b", "aws-region=x", "restore-into=brunch")
	if o.says(t, `input restore-into: "brunch" is not one of its values`); strings.Contains(o.log, "restore-url") {
		t.Errorf("a second mistake comes of it:\n%s", o.log)
	}
	catalog := pgtest.Database(t)
	o = f.run(t, t.Context(), "mode=restore", "s3-bucket=b", "aws-region=x", "restore-url="+catalog,
		"catalog-url="+catalog)
	o.says(t, "restore-url is the catalog's own database (catalog-url)")
}

func TestSkipUnchanged(t *testing.T) {
	f, v := newFleet(t, named("a")...), newVault(t)
	first := f.run(t, t.Context(), v.inputs("mode=backup")...)
	first.counts(t, 1, 0, 0, 0)
	o := f.run(t, t.Context(), v.inputs("mode=backup", "skip-unchanged=true")...)
	o.counts(t, 0, 1, 0, 0)
	o.says(t, "no activity since")
	if key := detail[backup.Detail](t, first, "a").Key; o.outputs["backup-key"] != key || len(v.keys(t)) != 2 {
		t.Errorf("backup-key is %q, want %q; the bucket has %v", o.outputs["backup-key"], key, v.keys(t))
	}
	time.Sleep(time.Second) // keys tell seconds
	f.run(t, t.Context(), v.inputs("mode=backup", "skip-unchanged=true", "max-backup-age=1ns")...).counts(t, 1, 0, 0, 0)
}

// A catalog's row that names a Neon project is skipped as the project itself is. Of another row nobody knows when it
// was last in use: it is backed up, and the run says so.
func TestSkipUnchangedOfACatalog(t *testing.T) {
	f, v, catalog := newFleet(t, named("a")...), newVault(t), catalogDatabase(t)
	query := fmt.Sprintf(
		"select 'project' as name, '%s' as neon_project_id, null as url union all select 'elsewhere', null, '%s'",
		f.projects[0].ID, pgtest.Database(t))
	inputs := v.inputs("mode=backup", "skip-unchanged=true", "tenant-source=catalog", "database-url="+catalog,
		"catalog-query="+query)
	f.run(t, t.Context(), inputs...).counts(t, 2, 0, 0, 0)
	time.Sleep(time.Second) // keys tell seconds
	o := f.run(t, t.Context(), inputs...)
	o.counts(t, 1, 1, 0, 0)
	o.says(t, "project  no activity since", "skip-unchanged: some tenants are backed up every time")
	o = f.run(t, t.Context(), v.inputs("mode=backup", "skip-unchanged=true", "tenant-source=secrets",
		`tenant-secrets={"a":"postgres://u:p@h/d"}`)...)
	o.says(t, "skip-unchanged: this source does not know when a tenant was last in use")
}

// Every form of a backup comes back as it was: the rows that were dumped are there again.
func TestEveryFormOfABackupRestores(t *testing.T) {
	f, v := newFleet(t, named("a")...), newVault(t)
	f.run(t, t.Context()).counts(t, 1, 0, 0, 0)
	query(t, f.projects[0],
		"insert into users (email, name) select 'u' || i || '@x', repeat('é', i % 50) from generate_series(1, 3000) i")
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	stranger, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	for ending, inputs := range map[string][]string{
		".sql.gz":  {"compression-level=9"},
		".sql.zst": {"compression=zstd", "compression-level=3"},
		".dump": {
			"backup-format=custom", "verify=restore", "verify-database-url=" + pgtest.Shared(t).URL("postgres"),
		},
		".sql.gz.age":  {"age-recipients=" + identity.Recipient().String()},
		".sql.zst.age": {"compression=zstd", "age-recipients=" + identity.Recipient().String()},
		".dump.age":    {"backup-format=custom", "age-recipients=" + identity.Recipient().String()},
	} {
		t.Run(ending, func(t *testing.T) {
			folder := "s3-prefix=forms" + ending
			o := f.run(t, t.Context(), v.inputs(append(inputs, "mode=backup", folder)...)...)
			o.counts(t, 1, 0, 0, 0)
			if key := o.outputs["backup-key"]; !strings.HasSuffix(key, ending) {
				t.Errorf("the key is %s", key)
			}
			target := pgtest.Database(t)
			restore := v.inputs("mode=restore", "restore-url="+target, folder)
			if strings.HasSuffix(ending, ".age") {
				o = f.run(t, t.Context(), restore...)
				o.counts(t, 0, 0, 1, 0)
				o.says(t, "give age-identity")
				o = f.run(t, t.Context(), append(slices.Clone(restore), "age-identity="+stranger.String())...)
				o.counts(t, 0, 0, 1, 0)
				o.says(t, "it is encrypted for another key than the age identity that was given",
					"encrypted to "+identity.Recipient().String())
				if strings.Contains(o.log, "damaged") {
					t.Errorf("a wrong key is taken for damage:\n%s", o.log)
				}
				restore = append(restore, "age-identity="+identity.String())
			}
			o = f.run(t, t.Context(), restore...)
			o.counts(t, 1, 0, 0, 0)
			o.says(t, "3003 rows in 4 tables")
			if strings.Contains(strings.ReplaceAll(o.log, "::add-mask::"+identity.String(), ""), identity.String()) {
				t.Error("the log shows the identity")
			}
		})
	}
}

func TestNoMigrationWithoutARecentBackup(t *testing.T) {
	f, v := newFleet(t, named("ACME Corp", "Payroll Inc", "Finance Co")...), newVault(t)
	f.run(t, t.Context(), v.inputs("mode=backup", "tenants=ACME Corp")...).counts(t, 1, 0, 0, 0)
	stale := buckettest.BackupKey("tenants/payroll-inc/", time.Now().Add(-25*time.Hour))
	unverified := buckettest.BackupKey("tenants/finance-co/", time.Now())
	v.putBackup(t, f.projects[1].ID, stale)
	v.put(t, unverified)

	o := f.run(t, t.Context(), v.inputs("require-backup-within=24h")...)
	o.counts(t, 1, 0, 2, 0)
	o.says(t, "Payroll Inc: not migrated: its newest verified backup is of ",
		"Finance Co: not migrated: there is no verified backup in s3://"+v.bucket+"/tenants/finance-co/",
		"run mode backup on it first")
	for i, migrated := range []string{"t", "f", "f"} {
		if got := query(t, f.projects[i], "select to_regclass('users') is not null"); got != migrated {
			t.Errorf("%s: migrated is %s", f.projects[i].Name, got)
		}
	}

	t.Run("how files were applied is not forgotten", func(t *testing.T) {
		f.keep(t, "1", o)
		again := f.run(t, t.Context(), v.inputs("require-backup-within=1ms", "previous-report=reports/1.json")...)
		again.counts(t, 0, 0, 3, 0)
		if r := recordOf(t, again, "ACME Corp"); r.Known() || r.Applied != recordOf(t, o, "ACME Corp").Applied {
			t.Errorf("of a tenant that was left alone is known %+v", r)
		}
	})
	t.Run("another tenant's", func(t *testing.T) {
		other := newFleet(t, named("ACME Corp")...)
		o := other.run(t, t.Context(), v.inputs("require-backup-within=24h", "dry-run=true")...)
		o.counts(t, 0, 0, 1, 0)
		o.says(t, "is of another tenant, whose id is "+f.projects[0].ID)
	})
	t.Run("without a bucket", func(t *testing.T) {
		f.ResetCalls()
		o := f.run(t, t.Context(), "require-backup-within=24h")
		o.says(t, "input require-backup-within: needs the bucket")
		if f.Calls().Total != 0 {
			t.Errorf("%d calls were made", f.Calls().Total)
		}
	})
}
