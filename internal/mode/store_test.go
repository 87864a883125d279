package mode

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/org/neon-tenants-action/internal/catalog"
	"github.com/org/neon-tenants-action/internal/input"
)

func TestRole(t *testing.T) {
	def, err := input.ParseDefinition([]byte("inputs:\n" +
		"  role-to-assume: {description: x}\n  aws-account-id: {description: x}\n  iam-role: {description: x}\n"))
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		arn, account, role, want string
		mistakes                 int
	}{
		"none":            {},
		"by ARN":          {arn: "arn:aws:iam::123456789012:role/a/b", want: "arn:aws:iam::123456789012:role/a/b"},
		"another store's": {arn: "arn:minio:iam:::role/x", want: "arn:minio:iam:::role/x"},
		"China":           {arn: "arn:aws-cn:iam::123456789012:role/x", want: "arn:aws-cn:iam::123456789012:role/x"},
		"by name":         {account: "123456789012", role: "backup", want: "arn:aws:iam::123456789012:role/backup"},
		"both":            {arn: "arn:aws:iam::123456789012:role/a", account: "123456789012", mistakes: 1},
		"a user's ARN":    {arn: "arn:aws:iam::123456789012:user/a", mistakes: 1},
		"no name":         {account: "123456789012", mistakes: 1},
		"no account":      {role: "backup", mistakes: 1},
	} {
		values := map[string]string{
			"INPUT_ROLE-TO-ASSUME": c.arn, "INPUT_AWS-ACCOUNT-ID": c.account, "INPUT_IAM-ROLE": c.role,
		}
		in, err := input.New(def, nil, func(name string) (string, bool) { v, ok := values[name]; return v, ok })
		if err != nil {
			t.Fatal(err)
		}
		got := role(in)
		var mistakes []string
		if e, ok := in.Err().(*input.Error); ok { //nolint:errorlint // Err returns this very type
			mistakes = e.Mistakes
		}
		if len(mistakes) != c.mistakes || (c.mistakes == 0 && cmp.Diff(c.want, got) != "") {
			t.Errorf("%s: got %q, %v", name, got, mistakes)
		}
	}
}

func TestBackupFacts(t *testing.T) {
	key := "prod/acme/20260102T030405Z-pg17.sql.gz"
	want := catalog.Facts{BackupKey: key, BackupAt: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	for key, want := range map[string]catalog.Facts{key: want, "": {}, "prod/acme/notes.txt": {}} {
		if diff := cmp.Diff(want, BackupFacts(key)); diff != "" {
			t.Errorf("%q: %s", key, diff)
		}
	}
}

func TestBackupsAreNotSentUnencrypted(t *testing.T) {
	text, err := os.ReadFile("../../action.yml")
	if err != nil {
		t.Fatal(err)
	}
	def, err := input.ParseDefinition(text)
	if err != nil {
		t.Fatal(err)
	}
	for endpoint, refused := range map[string]bool{
		"https://s3.example.com": false, "http://minio:9000": false, "http://127.0.0.1:9000": false,
		"http://s3.example.com": true, "http://8.8": true, "http://0x8.8.8.8:9000": true,
	} {
		values := map[string]string{
			"INPUT_S3-BUCKET": "backups", "INPUT_AWS-REGION": "eu-central-1", "INPUT_S3-ENDPOINT": endpoint,
		}
		in, err := input.New(def, nil, func(name string) (string, bool) { v, ok := values[name]; return v, ok })
		if err != nil {
			t.Fatal(err)
		}
		ReadStore(in)
		err = in.Err()
		if (err != nil) != refused || refused && !strings.Contains(err.Error(), "s3-endpoint: every backup would be sent") {
			t.Errorf("%s: %v", endpoint, err)
		}
	}
}
