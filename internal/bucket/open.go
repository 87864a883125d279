// Package bucket keeps objects in S3 and in stores that speak its protocol: it uploads streams of unknown length in
// bounded memory, so that an object is there whole or not at all, reads them back, lists and deletes them. Beside that it
// knows what a backup's key looks like and which backups a retention policy keeps; both are pure.
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
	"github.com/aws/aws-sdk-go-v2/aws/ratelimit"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go/logging"
)

// Options say which bucket, and how to get at it.
type Options struct {
	Bucket string
	// Prefix is the folder above all of our folders, without slashes at its ends. Empty: none.
	Prefix string
	Region string
	// Endpoint is the address of a store that is not AWS. Empty: AWS, or what AWS_ENDPOINT_URL_S3 says.
	Endpoint string
	// PathStyle puts the bucket's name into the path of a URL, not into the host's name.
	PathStyle bool

	// RoleARN is assumed with a token of Token's. Empty: the AWS default chain's credentials as they are.
	RoleARN     string
	SessionName string        // of the role's session; empty: neon-tenants-action
	Duration    time.Duration // of the role's session; zero: an hour
	// Token returns a new identity token for an audience. It is called for every session, so a run may outlast them.
	Token func(ctx context.Context, audience string) (string, error)

	StorageClass string // empty: the bucket's default
	KMSKeyID     string // empty: the bucket's default encryption
	// ObjectLockDays retains every object for so long, in governance mode. Zero: the bucket's default.
	ObjectLockDays int

	// Streams is how many objects are written at once without waiting for each other's memory; more of them, or larger
	// parts, queue in Create. Zero: 16, which need 192 MiB at most.
	Streams int
	// CABundle holds further PEM certificates of authorities to trust. Nil: the system's, or what AWS_CA_BUNDLE names.
	CABundle []byte

	// For tests: another way to reach addresses, and less patience than stallTimeout and maxBackoff.
	dial           func(ctx context.Context, network, address string) (net.Conn, error)
	stall, backoff time.Duration
}

// Bucket is an open bucket. It is safe for concurrent use.
type Bucket struct {
	options Options
	client  *s3.Client
	budget  *budget
	// custom is true for a store that is not AWS, of which only the oldest parts of the protocol can be expected.
	custom bool
	// plain is true once a custom store has refused checksum headers or conditional writes.
	plain atomic.Bool
}

const (
	defaultSession  = "neon-tenants-action"
	defaultDuration = time.Hour
	maxAttempts     = 6 // of one request
	maxBackoff      = 10 * time.Second
)

// Open gets credentials and looks into the bucket, so that what is wrong with the role, the bucket's name or its region is
// known before anything is backed up. Its errors are [*Error] where the store or AWS's token service refused.
func Open(ctx context.Context, o Options) (*Bucket, error) {
	o.Prefix = strings.Trim(o.Prefix, "/")
	o.SessionName, o.Duration = cmp.Or(o.SessionName, defaultSession), cmp.Or(o.Duration, defaultDuration)
	o.Streams = cmp.Or(o.Streams, 16)
	load := []func(*config.LoadOptions) error{
		config.WithHTTPClient(httpClient(o)),
		config.WithLogger(logging.Nop{}), // it would write to the step's log past the console
		config.WithRetryer(func() aws.Retryer { return newRetryer(o, nil) }),
	}
	if o.Region != "" {
		load = append(load, config.WithRegion(o.Region))
	}
	cfg, err := config.LoadDefaultConfig(ctx, load...)
	if err != nil {
		return nil, &Error{Op: "read the AWS configuration", Bucket: o.Bucket, Err: err}
	}
	o.Region = cfg.Region
	if o.RoleARN != "" {
		if o.Token == nil {
			return nil, errors.New("open the bucket: a role is to be assumed, but there is nothing to get an identity token from")
		}
		cfg.Credentials = assumed(ctx, cfg, o)
	}
	b := &Bucket{options: o, budget: newBudget(o.Streams)}
	b.client = s3.NewFromConfig(cfg, func(so *s3.Options) {
		if o.Endpoint != "" {
			so.BaseEndpoint = aws.String(o.Endpoint)
		}
		so.UsePathStyle = o.PathStyle
		so.Retryer = newRetryer(o, cfg.Credentials)
		b.custom = so.BaseEndpoint != nil && !amazon(*so.BaseEndpoint)
		if b.custom {
			so.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenRequired
			so.ResponseChecksumValidation = aws.ResponseChecksumValidationWhenRequired
		}
	})
	if cfg.Region == "" {
		return nil, &Error{Op: "open the bucket", Bucket: o.Bucket, Err: errors.New("no AWS region is given"),
			cause: NoRegion}
	}
	if _, err := cfg.Credentials.Retrieve(ctx); err != nil {
		return nil, b.credentialsError(err)
	}
	if err := b.look(ctx); err != nil {
		return nil, err
	}
	return b, nil
}

// look asks for one key, which needs the permission that pruning and restoring need anyway.
func (b *Bucket) look(ctx context.Context) error {
	_, err := b.client.ListObjectsV2(ctx, &s3.ListObjectsV2Input{
		Bucket: &b.options.Bucket, Prefix: aws.String(b.Folder("")), MaxKeys: aws.Int32(1),
	})
	return b.wrap(err, "open the bucket", "", "s3:ListBucket")
}

// Name is the bucket's name.
func (b *Bucket) Name() string { return b.options.Bucket }

// Folder returns the beginning of the keys in a folder of that name, its slash included. An empty name gives the prefix's own.
func (b *Bucket) Folder(name string) string {
	var folder string
	for _, part := range []string{b.options.Prefix, name} {
		if part != "" {
			folder += part + "/"
		}
	}
	return folder
}

// Close gives back connections and memory that nothing uses any more.
func (b *Bucket) Close() {
	if c, ok := b.client.Options().HTTPClient.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
	b.budget.chunks.trim(0)
}

// amazon tells AWS's own addresses (a VPC endpoint, FIPS) from those of other stores.
func amazon(endpoint string) bool {
	u, err := url.Parse(endpoint)
	if err != nil {
		return false
	}
	host := u.Hostname()
	return strings.HasSuffix(host, ".amazonaws.com") || strings.HasSuffix(host, ".amazonaws.com.cn")
}

// unsigned sends a body without its SHA-256 in the signature: what is sent so carries a checksum of its own, which is signed.
var unsigned = s3.WithAPIOptions(v4.SwapComputePayloadSHA256ForUnsignedPayloadMiddleware)

// newRetryer tries again what may pass. Sessions that ended before their time are given up for a new one. There is no common
// quota of retries: one stream's bad luck is not another's.
func newRetryer(options Options, credentials aws.CredentialsProvider) aws.Retryer {
	return retry.NewStandard(func(o *retry.StandardOptions) {
		o.MaxAttempts, o.MaxBackoff, o.RateLimiter = maxAttempts, cmp.Or(options.backoff, maxBackoff), ratelimit.None
		cache, ok := credentials.(*aws.CredentialsCache)
		ended := retry.IsErrorRetryableFunc(func(err error) aws.Ternary {
			if !ok || !sessionEnded(err) {
				return aws.UnknownTernary
			}
			cache.Invalidate()
			return aws.TrueTernary
		})
		cut := retry.IsErrorRetryableFunc(func(err error) aws.Ternary {
			if s, _ := status(err); lost(s) {
				return aws.TrueTernary
			}
			return aws.UnknownTernary
		})
		o.Retryables = append([]retry.IsErrorRetryable{ended, cut}, o.Retryables...)
	})
}

// objectLockUntil is when an object written now may be deleted.
func (b *Bucket) objectLockUntil() *time.Time {
	if b.options.ObjectLockDays <= 0 {
		return nil
	}
	return aws.Time(time.Now().UTC().AddDate(0, 0, b.options.ObjectLockDays))
}

func (b *Bucket) url(key string) string { return fmt.Sprintf("s3://%s/%s", b.options.Bucket, key) }
