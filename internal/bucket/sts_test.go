package bucket_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/org/neon-tenants-action/internal/bucket"
	"github.com/org/neon-tenants-action/internal/bucket/buckettest"
	"github.com/org/neon-tenants-action/internal/github/githubtest"
	"github.com/org/neon-tenants-action/internal/remedies"
)

// TestRole assumes a role as a job does, with an identity token and MinIO's own token service.
func TestRole(t *testing.T) {
	issuer, err := githubtest.StartIssuer(githubtest.IssuerOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := issuer.Close(); err != nil {
			t.Error(err)
		}
	})
	s, err := buckettest.Start(t.Context(), buckettest.Options{Issuer: issuer.URL})
	buckettest.Need(t, err)
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	})
	// Only the role gives permissions here.
	for _, name := range []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"} {
		t.Setenv(name, "")
	}
	for _, name := range []string{"AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"} {
		t.Setenv(name, "/dev/null")
	}
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	t.Setenv("AWS_ENDPOINT_URL_STS", s.URL)
	life := 5 * time.Minute
	var asked atomic.Int32
	var used []string
	token := func(_ context.Context, audience string) (string, error) {
		asked.Add(1)
		token, err := issuer.Token(audience, life)
		used = append(used, token)
		return token, err
	}
	options := func(proxy *buckettest.FaultProxy) bucket.Options {
		o := bucket.Options{
			Bucket: buckettest.Bucket(t, s, false), Region: buckettest.Region, Endpoint: s.URL, PathStyle: true, CABundle: s.CA,
			RoleARN: s.RoleARN, Token: token, Duration: 15 * time.Minute,
		}
		if proxy != nil {
			o.Endpoint = proxy.URL
		}
		return bucket.Impatient(o, time.Minute)
	}

	t.Run("no role and no credentials", func(t *testing.T) {
		o := options(nil)
		o.RoleARN, o.Token = "", nil
		_, err := bucket.Open(t.Context(), o)
		var e *bucket.Error
		if !errors.As(err, &e) || !strings.Contains(e.Error(), "get AWS credentials: no role is to be assumed") ||
			strings.Contains(e.Error(), "IMDS") ||
			!strings.Contains(remedies.Of(err), "a variable or a secret that does not exist") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("a session for many calls", func(t *testing.T) {
		asked.Store(0)
		o := options(nil)
		o.CABundle = nil // users set the variable
		t.Setenv("AWS_CA_BUNDLE", s.CAFile)
		b := open(t, o)
		for i := range 3 {
			key := keyAt(b, "acme", noon.Add(time.Duration(i)*time.Second))
			if _, err := write(t.Context(), b, key, small, bucket.Info{}); err != nil {
				t.Fatal(err)
			}
		}
		if n := asked.Load(); n != 1 {
			t.Errorf("%d tokens", n)
		}
	})
	t.Run("a new token when the session ends in the middle of an upload", func(t *testing.T) {
		asked.Store(0)
		proxy := buckettest.StartFaultProxy(t, s)
		b := open(t, options(proxy))
		proxy.Inject(buckettest.Fault{
			Operation: "UploadPart", Nth: 2, Times: 1, Status: http.StatusBadRequest, Code: "ExpiredToken",
		})
		if _, err := write(t.Context(), b, keyAt(b, "acme", noon), large, bucket.Info{}); err != nil {
			t.Fatal(err)
		}
		if n := asked.Load(); n != 2 || used[len(used)-1] == used[len(used)-2] {
			t.Errorf("%d tokens", n)
		}
	})
	t.Run("a session that is over soon", func(t *testing.T) {
		asked.Store(0)
		proxy := buckettest.StartFaultProxy(t, s)
		o := options(proxy)
		t.Setenv("AWS_ENDPOINT_URL_STS", proxy.URL)
		// The token service says when a session ends. A short one is renewed once two thirds of its time are over.
		proxy.ShortenSessions(3 * time.Second)
		b := open(t, o)
		w, err := b.Create(t.Context(), keyAt(b, "acme", noon), bucket.Info{})
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			if _, err := io.Copy(w, bytesOf(9*mebibyte)); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
		}
		if _, err := w.Commit(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n := asked.Load(); n < 2 {
			t.Errorf("%d tokens", n)
		}
	})
	for _, test := range []struct {
		name   string
		change func(o *bucket.Options)
		fault  *buckettest.Fault
		want   string
		remedy string
	}{
		{"trust policy", nil, &buckettest.Fault{
			Operation: "AssumeRoleWithWebIdentity", Status: http.StatusForbidden, Code: "AccessDenied",
			Message: "Not authorized to perform sts:AssumeRoleWithWebIdentity",
		}, "403 AccessDenied: Not authorized", "trust policy"},
		{"no identity provider", nil, &buckettest.Fault{
			Operation: "AssumeRoleWithWebIdentity", Status: http.StatusBadRequest, Code: "InvalidIdentityToken",
			Message: "No OpenIDConnect provider found in your account",
		}, "No OpenIDConnect provider", "create an identity provider"},
		{"session too long", nil, &buckettest.Fault{
			Operation: "AssumeRoleWithWebIdentity", Status: http.StatusBadRequest, Code: "ValidationError",
			Message: "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.",
		}, "MaxSessionDuration", "role-duration-seconds"},
		{"no permission in the job", func(o *bucket.Options) {
			o.Token = func(context.Context, string) (string, error) { return "", remediable{} }
		}, nil, "get the job's identity token", "the token's own remedy"},
		{"no such role", func(o *bucket.Options) { o.RoleARN = "arn:minio:iam:::role/nobody" }, nil,
			"assume arn:minio:iam:::role/nobody", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			o := options(nil)
			if test.fault != nil {
				proxy := buckettest.StartFaultProxy(t, s)
				proxy.Inject(*test.fault)
				t.Setenv("AWS_ENDPOINT_URL_STS", proxy.URL)
			}
			if test.change != nil {
				test.change(&o)
			}
			_, err := bucket.Open(t.Context(), o)
			checkError(t, err, test.want, test.remedy)
		})
	}
}

type remediable struct{}

func (remediable) Error() string  { return "no token" }
func (remediable) Remedy() string { return "the token's own remedy" }

func checkError(t *testing.T, err error, want, remedy string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Fatalf("got the error %v, want %q", err, want)
	}
	got := remedies.Of(err)
	if !strings.Contains(got, remedy) {
		t.Errorf("%v\nhas the remedy %q, want %q", err, got, remedy)
	}
	if len(err.Error()) > 400 {
		t.Errorf("a long error: %v", err)
	}
	t.Logf("%v\n=> %s", err, got)
}

func TestErrors(t *testing.T) {
	s := buckettest.Shared(t)
	for _, test := range []struct {
		name         string
		change       func(o *bucket.Options)
		fault        buckettest.Fault
		want, remedy string
	}{
		{name: "no such bucket", change: func(o *bucket.Options) { o.Bucket += "-not" },
			want: "404 NoSuchBucket", remedy: "s3-bucket"},
		{name: "no permission", fault: buckettest.Fault{Operation: "ListObjectsV2"},
			want: "403 AccessDenied", remedy: "s3:ListBucket"},
		{name: "another region", fault: buckettest.Fault{
			Operation: "ListObjectsV2", Status: http.StatusMovedPermanently, Code: "PermanentRedirect"},
			want: "301 PermanentRedirect", remedy: "aws-region"},
		{name: "no region", change: func(o *bucket.Options) { o.Region = "" }, want: "no AWS region", remedy: "aws-region"},
		{name: "nobody there", change: func(o *bucket.Options) { o.Endpoint = "https://127.0.0.1:1" },
			want: "connection refused", remedy: "s3-endpoint"},
		{name: "unknown authority", change: func(o *bucket.Options) { o.CABundle = nil },
			want: "certificate", remedy: "AWS_CA_BUNDLE"},
		{name: "wrong keys", fault: buckettest.Fault{
			Operation: "ListObjectsV2", Status: http.StatusForbidden, Code: "SignatureDoesNotMatch"},
			want: "SignatureDoesNotMatch", remedy: "AWS_SECRET_ACCESS_KEY"},
		{name: "silence", fault: buckettest.Fault{Operation: "ListObjectsV2", Way: buckettest.Cut},
			want: "EOF", remedy: "could not be reached"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			proxy := buckettest.StartFaultProxy(t, s)
			o := custom(t, s)
			o.Endpoint = proxy.URL
			if test.change != nil {
				test.change(&o)
			}
			if test.fault.Operation != "" {
				proxy.Inject(test.fault)
			}
			_, err := bucket.Open(t.Context(), bucket.Impatient(o, patience))
			checkError(t, err, test.want, test.remedy)
		})
	}
}
