package bucket

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"
)

const (
	tokenTimeout = 45 * time.Second // for an identity token, including retries
	earlyRefresh = 5 * time.Minute  // how long before its end a session is renewed
)

// assumed returns the role's credentials, which are renewed before they expire, each time with a new identity token:
// GitHub's are valid for five minutes.
func assumed(ctx context.Context, cfg aws.Config, o Options) (*aws.CredentialsCache, error) {
	client := sts.NewFromConfig(cfg, func(so *sts.Options) {
		so.Credentials = aws.AnonymousCredentials{}
		so.RetryMaxAttempts = 4 // the SDK also retries if there is no identity provider
	})
	if err := exposed("the token service", o.Bucket, client.Options().BaseEndpoint); err != nil {
		return nil, err
	}
	provider := stscreds.NewWebIdentityRoleProvider(client, o.RoleARN,
		&tokenSource{context.WithoutCancel(ctx), o.Token, audience(o.RoleARN)},
		func(w *stscreds.WebIdentityRoleOptions) { w.RoleSessionName, w.Duration = o.SessionName, o.Duration })
	return aws.NewCredentialsCache(earlyProvider{provider}), nil
}

// audience returns the audience of the tokens: the one that AWS's documentation gives for identity providers. China has
// its own.
func audience(roleARN string) string {
	if strings.HasPrefix(roleARN, "arn:aws-cn:") {
		return "sts.amazonaws.com.cn"
	}
	return "sts.amazonaws.com"
}

// tokenSource gets identity tokens with a context that a cancelled run does not end: aborting uploads needs
// credentials.
type tokenSource struct {
	ctx      context.Context
	token    func(ctx context.Context, audience string) (string, error)
	audience string
}

// tokenError is a failure to get an identity token, as opposed to a failure to assume the role.
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

// earlyProvider makes credentials expire earlyRefresh before their session ends, so that the cache renews them in time.
// A session shorter than a quarter of an hour loses a third of its time instead: with five minutes, one shorter than
// that would be renewed for each request.
type earlyProvider struct{ aws.CredentialsProvider }

func (p earlyProvider) Retrieve(ctx context.Context) (aws.Credentials, error) {
	c, err := p.CredentialsProvider.Retrieve(ctx)
	if err == nil && c.CanExpire {
		c.Expires = c.Expires.Add(-min(earlyRefresh, time.Until(c.Expires)/3))
	}
	return c, err
}

// sessionEnded reports whether the store says that a session has expired or is unknown, so that a new one helps.
// MinIO's code for it is InvalidAccessKeyId.
func sessionEnded(err error) bool {
	var e smithy.APIError
	return errors.As(err, &e) && slices.Contains([]string{
		"ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired", "InvalidToken", "InvalidAccessKeyId",
	}, e.ErrorCode())
}

// credentialsError returns the error for credentials that could not be obtained; nil stays nil.
func (b *Bucket) credentialsError(err error) error {
	if err == nil {
		return nil
	}
	e := &Error{Op: "get AWS credentials", Err: err, cause: SourceFailed}
	if b.options.RoleARN == "" {
		switch {
		case errors.Is(err, context.Canceled):
			e.cause = ""
		case strings.Contains(err.Error(), "EC2 IMDS"): // the last link of AWS's chain, where nobody should look first
			e.cause = NoCredentials
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

// configurationError is the error of AWS's variables and files, which were read and not yet used.
func configurationError(err error, bucket string) error {
	e := &Error{Op: "read the AWS configuration", Bucket: bucket, Err: err, cause: BadConfiguration}
	var profile config.SharedConfigProfileNotExistError
	switch {
	case errors.Is(err, context.Canceled):
		e.cause = ""
	case errors.As(err, &profile):
		e.cause, e.Err = NoSuchProfile, fmt.Errorf("there is no profile %q in AWS's configuration files", profile.Profile)
	}
	return e
}
