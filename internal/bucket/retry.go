package bucket

import (
	"cmp"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/ratelimit"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
)

const (
	maxAttempts = 6 // of one request
	maxBackoff  = 10 * time.Second
)

// newRetryer returns a retryer for transient errors, sessions that ended early and requests that were cut off. It does
// without the SDK's retry quota, which all streams would share.
func newRetryer(options Options, credentials aws.CredentialsProvider) aws.Retryer {
	return retry.NewStandard(func(o *retry.StandardOptions) {
		o.MaxAttempts, o.MaxBackoff, o.RateLimiter = maxAttempts, cmp.Or(options.backoff, maxBackoff), ratelimit.None
		cache, ok := credentials.(*aws.CredentialsCache)
		expired := retry.IsErrorRetryableFunc(func(err error) aws.Ternary {
			if !ok || !sessionEnded(err) {
				return aws.UnknownTernary
			}
			cache.Invalidate()
			return aws.TrueTernary
		})
		cutOff := retry.IsErrorRetryableFunc(func(err error) aws.Ternary {
			if s, _ := status(err); mayHaveArrived(s) {
				return aws.TrueTernary
			}
			return aws.UnknownTernary
		})
		o.Retryables = append([]retry.IsErrorRetryable{expired, cutOff}, o.Retryables...)
	})
}
