package bucket

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"
)

const (
	tokenTimeout = 45 * time.Second // for an identity token, retries included
	earlyRefresh = 5 * time.Minute  // how long before a session's end there is a new one
)

// assumed returns credentials of the role that are renewed before they end, each time with a new identity token: GitHub's
// live five minutes.
func assumed(ctx context.Context, cfg aws.Config, o Options) *aws.CredentialsCache {
	client := sts.NewFromConfig(cfg, func(so *sts.Options) {
		so.Credentials = aws.AnonymousCredentials{}
		so.RetryMaxAttempts = 4 // also where there is no identity provider, which may pass as far as the SDK knows
	})
	provider := stscreds.NewWebIdentityRoleProvider(client, o.RoleARN,
		&tokenSource{context.WithoutCancel(ctx), o.Token, audience(o.RoleARN)},
		func(w *stscreds.WebIdentityRoleOptions) { w.RoleSessionName, w.Duration = o.SessionName, o.Duration })
	return aws.NewCredentialsCache(earlyProvider{provider})
}

// audience is the one that AWS's documentation has identity providers made with, in China another.
func audience(roleARN string) string {
	if strings.HasPrefix(roleARN, "arn:aws-cn:") {
		return "sts.amazonaws.com.cn"
	}
	return "sts.amazonaws.com"
}

// tokenSource asks for tokens without the run's cancellation: what a cancelled run still has to abort needs credentials.
type tokenSource struct {
	ctx      context.Context
	token    func(ctx context.Context, audience string) (string, error)
	audience string
}

// tokenError tells a token that could not be had from a role that could not be assumed.
type tokenError struct{ error }

func (e tokenError) Unwrap() error { return e.error }

func (s *tokenSource) GetIdentityToken() ([]byte, error) {
	ctx, cancel := context.WithTimeout(s.ctx, tokenTimeout)
	defer cancel()
	token, err := s.token(ctx, s.audience)
	if err != nil {
		return nil, tokenError{err}
	}
	return []byte(token), nil
}

// earlyProvider lets credentials end early, in their cache's eyes: five minutes, or a third of a session that is
// shorter than a quarter of an hour, which a window of five minutes would have renewed for every request.
type earlyProvider struct{ aws.CredentialsProvider }

func (p earlyProvider) Retrieve(ctx context.Context) (aws.Credentials, error) {
	c, err := p.CredentialsProvider.Retrieve(ctx)
	if err == nil && c.CanExpire {
		c.Expires = c.Expires.Add(-min(earlyRefresh, time.Until(c.Expires)/3))
	}
	return c, err
}

// sessionEnded reports whether the store takes a session for ended or unknown, which a new one cures. MinIO calls it
// InvalidAccessKeyId.
func sessionEnded(err error) bool {
	var e smithy.APIError
	return errors.As(err, &e) && slices.Contains([]string{
		"ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired", "InvalidToken", "InvalidAccessKeyId",
	}, e.ErrorCode())
}

// credentialsError words what went wrong before the store was asked.
func (b *Bucket) credentialsError(err error) error {
	if err == nil {
		return nil
	}
	e := &Error{Op: "get AWS credentials", Err: err, cause: NoCredentials}
	if b.options.RoleARN == "" {
		if strings.Contains(err.Error(), "EC2 IMDS") { // the last link of AWS's chain, where nobody should look first
			e.Err = errors.New("no role is to be assumed, and neither AWS's variables and files nor this machine's own " +
				"role give any")
		}
		return e
	}
	e.Op, e.cause = "assume "+b.options.RoleARN, ""
	var token tokenError
	if errors.As(err, &token) {
		return fmt.Errorf("%s: get the job's identity token: %w", e.Op, token.error)
	}
	e.describe(err)
	e.region = "" // that of a bucket
	e.cause, e.Audience = roleCauses[e.Code], audience(b.options.RoleARN)
	return e
}
