package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"

	"github.com/org/neon-tenants-action/internal/bucket/buckettest"
	"github.com/org/neon-tenants-action/internal/github/githubtest"
)

// A world whose store does not start stops what it has started, and says why.
func TestWithoutStore(t *testing.T) {
	t.Setenv("STORE", "minio")
	t.Setenv("BUCKETTEST_MINIO", "none")
	if _, err := startWorld(t.Context(), 0, 0); !errors.Is(err, buckettest.ErrNotBuilt) {
		t.Errorf("startWorld: %v, want %v", err, buckettest.ErrNotBuilt)
	}
}

// Either store serves AWS's own client in a session of the role, and shows what is put past it.
func TestStores(t *testing.T) {
	i := issuer(t, githubtest.IssuerOptions{})
	for name, start := range map[string]func() (store, error){
		"memory": func() (store, error) { return startMemory(i) },
		"minio":  func() (store, error) { return startMinIO(t.Context(), i) },
	} {
		t.Run(name, func(t *testing.T) {
			s, err := start()
			buckettest.Need(t, err)
			t.Cleanup(func() {
				if err := s.stop(); err != nil {
					t.Error(err)
				}
			})
			c, bucket := client(s, tokenOf(t, i, audience, time.Minute)), aws.String(backups)
			if err := s.put(t.Context(), "b", "past the role"); err != nil {
				t.Fatal(err)
			}
			if _, err := c.PutObject(t.Context(),
				&s3.PutObjectInput{Bucket: bucket, Key: aws.String("a"), Body: strings.NewReader("by the role")}); err != nil {
				t.Fatal(err)
			}
			if keys, err := s.keys(t.Context()); err != nil || !slices.Equal(keys, []string{"a", "b"}) {
				t.Errorf("keys %q, %v", keys, err)
			}
			got, err := c.GetObject(t.Context(), &s3.GetObjectInput{Bucket: bucket, Key: aws.String("b")})
			if err != nil {
				t.Fatal(err)
			}
			defer got.Body.Close()
			if text, err := io.ReadAll(got.Body); err != nil || string(text) != "past the role" {
				t.Errorf("read %q, %v", text, err)
			}
			uploads, err := c.ListMultipartUploads(t.Context(), &s3.ListMultipartUploadsInput{Bucket: bucket})
			if err != nil || len(uploads.Uploads) > 0 {
				t.Errorf("unfinished uploads: %+v, %v", uploads, err)
			}
		})
	}
}

// The token service lets in whom AWS's would, and says no in its words.
func TestTokensAreChecked(t *testing.T) {
	i, stranger := issuer(t, githubtest.IssuerOptions{}), issuer(t, githubtest.IssuerOptions{})
	s, err := startMemory(i)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.stop(); err != nil {
			t.Error(err)
		}
	})
	list := func(c *s3.Client) string {
		_, err := c.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: aws.String(backups)})
		var refused smithy.APIError
		if errors.As(err, &refused) {
			return refused.ErrorCode()
		}
		if err != nil {
			t.Error(err)
		}
		return ""
	}
	good := tokenOf(t, i, audience, time.Minute)
	for name, test := range map[string]struct{ token, code string }{
		"this job's":       {good, ""},
		"another audience": {tokenOf(t, i, "https://github.com/acme", time.Minute), "InvalidIdentityToken"},
		"over":             {tokenOf(t, i, audience, -time.Second), "ExpiredTokenException"},
		"another issuer's": {tokenOf(t, stranger, audience, time.Minute), "InvalidIdentityToken"},
		"changed":          {good[:len(good)-8] + "AAAAAAAA", "InvalidIdentityToken"},
		"none":             {"none", "InvalidIdentityToken"},
	} {
		if code := list(client(s, test.token)); code != test.code {
			t.Errorf("a token that is %s: %q, want %q", name, code, test.code)
		}
	}
	if code := list(s3.New(s3.Options{Region: buckettest.Region, BaseEndpoint: &s.url, UsePathStyle: true,
		RetryMaxAttempts: 1})); code != "AccessDenied" {
		t.Errorf("without a session: %q", code)
	}
}

// A role trusts one repository.
func TestAnotherRepositoryIsRefused(t *testing.T) {
	i := issuer(t, githubtest.IssuerOptions{Repository: "acme/fleet-two"})
	s, err := startMemory(i)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.stop(); err != nil {
			t.Error(err)
		}
	})
	_, err = client(s, tokenOf(t, i, audience, time.Minute)).ListObjectsV2(t.Context(),
		&s3.ListObjectsV2Input{Bucket: aws.String(backups)})
	if err == nil || !strings.Contains(err.Error(), "Not authorized to perform sts:AssumeRoleWithWebIdentity") {
		t.Errorf("got %v", err)
	}
}

func issuer(t *testing.T, o githubtest.IssuerOptions) *githubtest.Issuer {
	t.Helper()
	i, err := githubtest.StartIssuer(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := i.Close(); err != nil {
			t.Error(err)
		}
	})
	return i
}

func tokenOf(t *testing.T, i *githubtest.Issuer, audience string, life time.Duration) string {
	t.Helper()
	token, err := i.Token(audience, life)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// identity is a token as AWS's client asks for it.
type identity string

func (i identity) GetIdentityToken() ([]byte, error) { return []byte(i), nil }

// client is AWS's own, in a session of the role that the token is exchanged for.
func client(s store, token string) *s3.Client {
	value := map[string]string{}
	for _, e := range s.environment() {
		value[e[0]] = e[1]
	}
	transport := awshttp.NewBuildableClient()
	if m, ok := s.(minio); ok {
		roots := x509.NewCertPool()
		roots.AppendCertsFromPEM(m.CA)
		transport = transport.WithTransportOptions(
			func(t *http.Transport) { t.TLSClientConfig = &tls.Config{RootCAs: roots} })
	}
	region := value["AWS_REGION"]
	service := sts.New(sts.Options{Region: region, BaseEndpoint: aws.String(value["AWS_ENDPOINT_URL_STS"]),
		HTTPClient: transport, RetryMaxAttempts: 1})
	return s3.New(s3.Options{
		Region: region, BaseEndpoint: aws.String(value["S3_ENDPOINT"]), UsePathStyle: true, HTTPClient: transport,
		RetryMaxAttempts:           1,
		Credentials:                stscreds.NewWebIdentityRoleProvider(service, value["ROLE_TO_ASSUME"], identity(token)),
		RequestChecksumCalculation: aws.RequestChecksumCalculationWhenRequired,
	})
}
