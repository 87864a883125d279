// Package bucket stores objects in S3 and in stores that speak its protocol. It uploads streams of unknown length in
// bounded memory, and an object is in the bucket either complete or not at all. It also reads, lists and deletes
// objects.
package bucket

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go/logging"

	"github.com/org/neon-tenants-action/internal/hosts"
)

// Options name a bucket and say how to reach it.
type Options struct {
	Bucket string
	// Prefix is the folder above those of [Bucket.Folder]. Empty: none.
	Prefix string
	Region string // empty: that of the AWS configuration
	// Endpoint is the URL of a store that is not AWS. Empty: AWS, or the URL in AWS_ENDPOINT_URL_S3. http:// is refused
	// for a public host.
	Endpoint string
	// PathStyle puts the bucket's name into the path of a URL instead of the host name.
	PathStyle bool

	// RoleARN is the role to assume, with tokens from Token. Empty: credentials come from the AWS default chain.
	RoleARN     string
	SessionName string        // of the role's session; empty: neon-tenants-action
	Duration    time.Duration // of the role's session; zero: an hour
	// Token returns a new identity token for an audience. It is called once per session.
	Token func(ctx context.Context, audience string) (string, error)

	StorageClass string // empty: the bucket's default
	KMSKeyID     string // empty: the bucket's default encryption
	// ObjectLockDays is for how many days each object is retained, in governance mode. Zero: the bucket's default.
	ObjectLockDays int

	// Streams is how many objects can be uploaded at once without waiting for memory. More of them, or ones with larger
	// parts, wait in Create. Zero: 16, which take up to 192 MiB.
	Streams int
	// CABundle holds PEM certificates of authorities to trust besides the system's. Nil: none, or those in the file
	// that AWS_CA_BUNDLE names.
	CABundle []byte

	// For tests: another dialer, and shorter times than stallTimeout and maxBackoff.
	dial           func(ctx context.Context, network, address string) (net.Conn, error)
	stall, backoff time.Duration
}

// Bucket is an open bucket. It is safe for concurrent use.
type Bucket struct {
	options Options
	client  *s3.Client
	budget  *budget
	// custom is true for a store that is not AWS, which may know only the oldest parts of the protocol.
	custom bool
	clock  *clock
	open   *connections
	// fallback is true once a custom store has rejected checksum headers or conditional writes.
	fallback atomic.Bool
}

const (
	defaultSession  = "neon-tenants-action"
	defaultDuration = time.Hour
	defaultStreams  = 16
)

// Open gets credentials and lists one object, to find out early if the role, the bucket's name or its region is wrong.
// It returns an [*Error] if the store or the token service refuses. The caller must close the Bucket.
func Open(ctx context.Context, o Options) (*Bucket, error) {
	o.Prefix = strings.Trim(o.Prefix, "/")
	o.SessionName, o.Duration = cmp.Or(o.SessionName, defaultSession), cmp.Or(o.Duration, defaultDuration)
	o.Streams = cmp.Or(o.Streams, defaultStreams)
	b := &Bucket{options: o, budget: newBudget(o.Streams), clock: &clock{}, open: newConnections()}
	if err := b.connect(ctx); err != nil {
		b.Close()
		return nil, err
	}
	return b, nil
}

// connect makes the client, and tries it.
func (b *Bucket) connect(ctx context.Context) error {
	cfg, err := b.configuration(ctx)
	if err != nil {
		return err
	}
	b.options.Region = cfg.Region
	b.client = s3.NewFromConfig(cfg, func(so *s3.Options) {
		if b.options.Endpoint != "" {
			so.BaseEndpoint = aws.String(b.options.Endpoint)
		}
		so.UsePathStyle = b.options.PathStyle
		so.Retryer = newRetryer(b.options, cfg.Credentials)
		b.custom = so.BaseEndpoint != nil && !amazon(*so.BaseEndpoint)
		if b.custom {
			so.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenRequired
			so.ResponseChecksumValidation = aws.ResponseChecksumValidationWhenRequired
		}
	})
	if err := exposed("the store", b.options.Bucket, b.client.Options().BaseEndpoint); err != nil {
		return err
	}
	if cfg.Region == "" {
		return &Error{Op: "open the bucket", Bucket: b.options.Bucket, Err: errors.New("no AWS region is given"),
			cause: NoRegion}
	}
	if _, err := cfg.Credentials.Retrieve(ctx); err != nil {
		return b.credentialsError(err)
	}
	return b.checkAccess(ctx)
}

// configuration returns AWS's own configuration with what the options say.
func (b *Bucket) configuration(ctx context.Context) (aws.Config, error) {
	o := b.options
	load := []func(*config.LoadOptions) error{
		config.WithHTTPClient(httpClient(o, b.open)),
		config.WithLogger(logging.Nop{}), // it would write to standard error
		config.WithRetryer(func() aws.Retryer { return newRetryer(o, nil) }),
		// Another one, as AWS_DEFAULTS_MODE names, would give the client another dialer, which knows no limit on stalls.
		config.WithDefaultsMode(aws.DefaultsModeLegacy),
	}
	if o.Region != "" {
		load = append(load, config.WithRegion(o.Region))
	}
	cfg, err := config.LoadDefaultConfig(ctx, load...)
	if err != nil {
		return cfg, configurationError(err, o.Bucket)
	}
	if o.RoleARN == "" {
		return cfg, nil
	}
	if o.Token == nil {
		return cfg, errors.New("open the bucket: there is a role to assume, but no source of identity tokens")
	}
	cfg.Credentials, err = assumed(ctx, cfg, o)
	return cfg, err
}

// checkAccess lists one object, which takes a permission that every use of a bucket needs anyway, and reads the store's
// clock.
func (b *Bucket) checkAccess(ctx context.Context) error {
	_, err := b.client.ListObjectsV2(ctx, &s3.ListObjectsV2Input{
		Bucket: &b.options.Bucket, Prefix: aws.String(b.Folder("")), MaxKeys: aws.Int32(1),
	}, b.clock.measure)
	return b.wrap(err, "open the bucket", "", "s3:ListBucket")
}

// Name returns the bucket's name.
func (b *Bucket) Name() string { return b.options.Bucket }

// Folder returns what the keys in a folder begin with, including the slash: the prefix and the folder's name. The
// folder with an empty name is the prefix itself.
func (b *Bucket) Folder(name string) string {
	var folder string
	for _, part := range []string{b.options.Prefix, name} {
		if part != "" {
			folder += part + "/"
		}
	}
	return folder
}

// Close ends the connections, also those in use, and returns unused memory to the operating system.
func (b *Bucket) Close() {
	b.open.close()
	b.budget.chunks.close()
}

// amazon reports whether an endpoint is AWS's own, such as a VPC or FIPS endpoint.
func amazon(endpoint string) bool {
	u, err := url.Parse(endpoint)
	if err != nil {
		return false
	}
	host := u.Hostname()
	return strings.HasSuffix(host, ".amazonaws.com") || strings.HasSuffix(host, ".amazonaws.com.cn")
}

// exposed refuses an endpoint to which data and tokens would go over the internet unencrypted. It may also come from
// AWS's variables and files.
func exposed(service, bucket string, endpoint *string) error {
	if endpoint == nil {
		return nil
	}
	u, err := url.Parse(*endpoint)
	if err == nil && (u.Host == "" || !hosts.Exposed(u)) {
		return nil // without a host, the first request fails
	}
	host := "a public host"
	if err == nil {
		host = u.Host
	}
	return &Error{Op: "open the bucket", Bucket: bucket, cause: ExposedEndpoint,
		Err: fmt.Errorf("the endpoint of %s would send everything unencrypted to %s", service, host)}
}

// unsignedPayload keeps the body's SHA-256 out of a request's signature, which saves reading the body twice. The
// request carries another checksum of the body, and that one is signed.
var unsignedPayload = s3.WithAPIOptions(v4.SwapComputePayloadSHA256ForUnsignedPayloadMiddleware)

func (b *Bucket) url(key string) string { return fmt.Sprintf("s3://%s/%s", b.options.Bucket, key) }
