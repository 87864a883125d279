package mode

import (
	"os"
	"strings"
	"testing"

	"github.com/org/neon-tenants-action/internal/input"
)

// readingStore returns what is wrong with the inputs about the bucket.
func readingStore(t *testing.T, inputs map[string]string) string {
	t.Helper()
	text, err := os.ReadFile("../../action.yml")
	if err != nil {
		t.Fatal(err)
	}
	def, err := input.ParseDefinition(text)
	if err != nil {
		t.Fatal(err)
	}
	in, err := input.New(def, nil, func(name string) (string, bool) {
		v, ok := inputs[strings.ToLower(strings.TrimPrefix(name, "INPUT_"))]
		return v, ok
	})
	if err != nil {
		t.Fatal(err)
	}
	ReadStore(in)
	if err := in.Err(); err != nil {
		return err.Error()
	}
	return ""
}

func TestABucketIsGivenByItsName(t *testing.T) {
	for bucket, want := range map[string]string{
		"my-backups": "", "b": "", "My_Old.Bucket": "", "tenants-abc-s3alias": "", "b--euc1-az1--x-s3": "",
		"arn:aws:s3:eu-central-1:123456789012:accesspoint/tenants":                       "",
		"arn:aws:s3:eu-central-1:123456789012:accesspoint:tenants":                       "",
		"arn:aws:s3::123456789012:accesspoint/mfzwi23gnjvgw.mrap":                        "",
		"arn:aws:s3-outposts:eu-central-1:123456789012:outpost/op-01ac/accesspoint/back": "",

		"backups/prod": `"backups/prod" holds a path, and has to be a bucket's name|` +
			"write s3-bucket: backups and s3-prefix: prod",
		"backups/":               "write s3-bucket: backups",
		"/backups/a/b/":          "write s3-bucket: backups and s3-prefix: a/b",
		"s3://backups":           "begins with s3://|write s3-bucket: backups",
		"s3://backups/prod/":     "begins with s3://|write s3-bucket: backups and s3-prefix: prod",
		"my backups":             "holds a character that no name has|such as s3-bucket: my-backups",
		"arn:aws:s3:::backups":   "is an ARN, which only access points are named by|write s3-bucket: backups",
		"arn:aws:s3:::backups/*": "write s3-bucket: backups",
		"arn:aws:s3:eu-central-1:123456789012:accesspoint/ap/object/prod": "with a folder behind it|" +
			"write s3-bucket: arn:aws:s3:eu-central-1:123456789012:accesspoint/ap and s3-prefix: prod",
		"https://backups.s3.eu-central-1.amazonaws.com/prod": "is a web address|" +
			"write s3-bucket: backups and s3-prefix: prod",
		"https://backups.s3.amazonaws.com/?X-Amz-Signature=hush": "write s3-bucket: backups",
		"https://s3.eu-central-1.amazonaws.com/backups/prod":     "write s3-bucket: backups and s3-prefix: prod",
		"https://eu-central-1.console.aws.amazon.com/s3/buckets/backups?region=eu-central-1&prefix=prod/": "write " +
			"s3-bucket: backups and s3-prefix: prod",
		"https://":    "is a web address|such as s3-bucket: my-backups",
		"arn:aws:s3:": "is an ARN",
	} {
		got := readingStore(t, map[string]string{"s3-bucket": bucket, "aws-region": "eu-central-1"})
		if (want == "") != (got == "") || strings.Contains(got, "hush") {
			t.Errorf("%s: %s", bucket, got)
		}
		for part := range strings.SplitSeq(want, "|") {
			if !strings.Contains(got, part) {
				t.Errorf("%s: got %s\nwant %s", bucket, got, part)
			}
		}
	}
}

func TestAFolderInTheBucketsNameIsAddedToThePrefix(t *testing.T) {
	got := readingStore(t, map[string]string{"s3-bucket": "backups/prod", "s3-prefix": "tenants", "aws-region": "x"})
	if !strings.Contains(got, "s3-bucket: backups and s3-prefix: prod/tenants") {
		t.Error(got)
	}
	got = readingStore(t, map[string]string{"s3-bucket": "backups", "s3-prefix": "s3://backups/prod", "aws-region": "x"})
	if !strings.Contains(got, "s3-prefix: is an address") || !strings.Contains(got, "write s3-prefix: prod") {
		t.Error(got)
	}
}

// The page of some stores shows the endpoint with the bucket at its end.
func TestAnEndpointWithoutTheBucket(t *testing.T) {
	for endpoint, want := range map[string]string{
		"https://acct.r2.cloudflarestorage.com/backups":  "write s3-endpoint: https://acct.r2.cloudflarestorage.com",
		"https://acct.r2.cloudflarestorage.com/backups/": "write s3-endpoint: https://acct.r2.cloudflarestorage.com",
		"https://store.example.com/storage/v1/s3":        "", "https://backups.example.com": "",
	} {
		got := readingStore(t, map[string]string{"s3-bucket": "backups", "aws-region": "x", "s3-endpoint": endpoint})
		if (want == "") != (got == "") || !strings.HasSuffix(strings.TrimSpace(got), want) {
			t.Errorf("%s: %s", endpoint, got)
		}
	}
}
