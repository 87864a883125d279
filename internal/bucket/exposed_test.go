package bucket_test

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/org/neon-tenants-action/internal/bucket"
	"github.com/org/neon-tenants-action/internal/bucket/buckettest"
)

// Neither data nor an identity token goes to a public host unencrypted, wherever the endpoint comes from.
func TestExposedEndpoints(t *testing.T) {
	setEnvironment(t, buckettest.Shared(t))
	profile := filepath.Join(t.TempDir(), "config")
	if err := os.WriteFile(profile, []byte("[default]\nendpoint_url = http://s3.example.com\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	dialled := errors.New("dialled")
	for name, c := range map[string]struct {
		endpoint, variable, value string
		role                      bool
		want                      string // empty: it is dialled
	}{
		"the store's":    {endpoint: "http://s3.example.com", want: "the store would send everything unencrypted to s3.ex"},
		"an integer":     {endpoint: "http://134744072:9000", want: "unencrypted to 134744072:9000"},
		"upper case":     {endpoint: "HTTP://S3.example.com", want: "unencrypted to S3.example.com"},
		"encrypted":      {endpoint: "https://s3.example.com"},
		"private":        {endpoint: "http://10.0.0.1:9000"},
		"a container's":  {endpoint: "http://minio:9000"},
		"AWS's variable": {variable: "AWS_ENDPOINT_URL", value: "http://s3.example.com", want: "s3.example.com"},
		"S3's variable":  {variable: "AWS_ENDPOINT_URL_S3", value: "http://8.8.8.8", want: "8.8.8.8"},
		"AWS's file":     {variable: "AWS_CONFIG_FILE", value: profile, want: "s3.example.com"},
		"STS's variable": {variable: "AWS_ENDPOINT_URL_STS", value: "http://example.com", role: true, want: "token service"},
		"the right one":  {variable: "AWS_ENDPOINT_URL_S3", value: "https://s3.example.com"},
		"one not in use": {endpoint: "https://s3.example.com", variable: "AWS_ENDPOINT_URL_S3", value: "http://8.8.8.8"},
	} {
		t.Run(name, func(t *testing.T) {
			if c.variable != "" {
				t.Setenv(c.variable, c.value)
			}
			o := bucket.Options{Bucket: "backups", Region: "eu-central-1", Endpoint: c.endpoint}
			if c.role {
				o.RoleARN = "arn:aws:iam::123456789012:role/backup"
				o.Token = func(context.Context, string) (string, error) {
					t.Error("a token was asked for")
					return "token", nil
				}
			}
			o = bucket.WithDialer(o, func(context.Context, string, string) (net.Conn, error) { return nil, dialled })
			_, err := bucket.Open(t.Context(), bucket.Impatient(o, patience))
			var refused *bucket.Error
			switch {
			case c.want == "":
				if !errors.Is(err, dialled) {
					t.Errorf("got %v", err)
				}
			case !errors.As(err, &refused) || refused.Cause() != bucket.ExposedEndpoint || errors.Is(err, dialled) ||
				!strings.Contains(err.Error(), c.want):
				t.Errorf("got %v", err)
			}
		})
	}
}
