package bucket_test

import (
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/org/neon-tenants-action/internal/bucket"
	"github.com/org/neon-tenants-action/internal/bucket/buckettest"
)

// MinIO itself refuses what it lacks, and other stores do so in words of their own. The remedy names the input.
func TestOptionsThatAStoreLacks(t *testing.T) {
	t.Parallel()
	s := buckettest.Shared(t)
	refusal := func(status int, code, message string) *buckettest.Fault {
		return &buckettest.Fault{Operation: "PutObject", Status: status, Code: code, Message: message}
	}
	const header = "Header 'x-amz-object-lock-mode' with value 'GOVERNANCE' not implemented"
	for name, test := range map[string]struct {
		kms, class   string
		lock         int
		fault        *buckettest.Fault // nil: MinIO answers
		want, remedy string
	}{
		"a key": {kms: "alias/x", want: "501 NotImplemented",
			remedy: "a key that s3-kms-key-id names: leave it out"},
		"a storage class": {class: "GLACIER_IR", want: "400 InvalidStorageClass", remedy: "check s3-storage-class"},
		"Object Lock":     {lock: 3, want: "400 InvalidRequest", remedy: "leave s3-object-lock-days out"},
		"all, and the message": {kms: "k", class: "C", lock: 3, fault: refusal(501, "NotImplemented", header), want: "501",
			remedy: "s3-object-lock-days out"},
		"all, and no message": {kms: "k", class: "C", lock: 3, fault: refusal(501, "NotImplemented", "no"), want: "501",
			remedy: "leave out those of"},
		"one, and no message": {class: "C", fault: refusal(501, "NotImplemented", "no"), want: "501",
			remedy: "check s3-storage-class"},
		"none": {fault: refusal(501, "NotImplemented", "no"), want: "501",
			remedy: "if none is, check that s3-endpoint"},
		"none of its business": {kms: "k", fault: refusal(400, "InvalidRequest", "no"), want: "400", remedy: ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := custom(t, s)
			o.KMSKeyID, o.StorageClass, o.ObjectLockDays = test.kms, test.class, test.lock
			if test.fault != nil {
				proxy := buckettest.StartFaultProxy(t, s)
				proxy.Inject(*test.fault)
				o.Endpoint = proxy.URL
			}
			b := open(t, bucket.Impatient(o, patience))
			_, err := write(t.Context(), b, keyAt(b, "acme", noon), small, bucket.Info{})
			checkError(t, err, test.want, test.remedy)
		})
	}
}

// AWS's variables and files lead to remedies about themselves, and not about the store, which nobody has asked yet.
func TestAWSVariablesThatLeadNowhere(t *testing.T) {
	s := buckettest.Shared(t)
	setEnvironment(t, s)
	nowhere := filepath.Join(t.TempDir(), "nowhere")
	file := func(text string) string {
		name := filepath.Join(t.TempDir(), "config")
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	for name, test := range map[string]struct {
		variables    map[string]string
		want, remedy string
	}{
		"a profile": {map[string]string{"AWS_PROFILE": "backup"},
			`no profile "backup" in AWS's configuration files`, "AWS_PROFILE names it"},
		"a profile, and no files": {map[string]string{"AWS_PROFILE": "backup", "AWS_CONFIG_FILE": nowhere,
			"AWS_SHARED_CREDENTIALS_FILE": nowhere}, `no profile "backup"`, "unset or correct that"},
		"a source profile": {map[string]string{
			"AWS_CONFIG_FILE": file("[default]\nsource_profile = b\nrole_arn = arn:aws:iam::123456789012:role/x\n")},
			`no profile "b"`, "a profile's source_profile"},
		"a bundle of authorities": {map[string]string{"AWS_CA_BUNDLE": nowhere}, "nowhere: no such file", "AWS_CA_BUNDLE"},
		"no machine with a role": {map[string]string{"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""},
			"no role is to be assumed", "set role-to-assume to the role's ARN"},
		"another host's metadata": {map[string]string{"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "",
			"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://192.0.2.1/x"}, "192.0.2.1", "AWS_CONTAINER_CREDENTIALS_FULL_URI"},
		"a container's metadata": {map[string]string{"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "",
			"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://127.0.0.1:1/x"},
			"connection refused", "name a source of credentials that gave none"},
		"a token's file": {map[string]string{"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "",
			"AWS_WEB_IDENTITY_TOKEN_FILE": nowhere, "AWS_ROLE_ARN": "arn:aws:iam::123456789012:role/x"},
			"nowhere: no such file", "name a source of credentials that gave none"},
		"a program": {map[string]string{"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "",
			"AWS_CONFIG_FILE": file("[default]\ncredential_process = /bin/false\n")},
			"credential_process", "name a source of credentials that gave none"},
	} {
		t.Run(name, func(t *testing.T) {
			for name, value := range test.variables {
				t.Setenv(name, value)
			}
			_, err := bucket.Open(t.Context(), bucket.Impatient(bucket.Options{
				Bucket: "backups", Region: "eu-central-1", Endpoint: s.URL, PathStyle: true, CABundle: s.CA,
			}, patience))
			checkError(t, err, test.want, test.remedy)
		})
	}
}

// A store's answer about credentials says which of the three is wrong.
func TestCredentialsThatAStoreRefuses(t *testing.T) {
	t.Parallel()
	s := buckettest.Shared(t)
	for code, test := range map[string]struct {
		status int
		remedy string
	}{
		"InvalidAccessKeyId":    {http.StatusForbidden, "AWS_ACCESS_KEY_ID was deleted"},
		"InvalidClientTokenId":  {http.StatusForbidden, "AWS_ACCESS_KEY_ID was deleted"},
		"InvalidTokenId":        {http.StatusForbidden, "AWS_ACCESS_KEY_ID was deleted"},
		"SignatureDoesNotMatch": {http.StatusForbidden, "AWS_SECRET_ACCESS_KEY does not belong"},
		"ExpiredToken":          {http.StatusBadRequest, "set role-to-assume, so that the run renews its own"},
		"InvalidToken":          {http.StatusBadRequest, "AWS_SESSION_TOKEN does not belong"},
		"RequestTimeTooSkewed":  {http.StatusForbidden, "set this machine's clock"},
	} {
		t.Run(code, func(t *testing.T) {
			t.Parallel()
			proxy := buckettest.StartFaultProxy(t, s)
			proxy.Inject(buckettest.Fault{Operation: "ListObjectsV2", Status: test.status, Code: code})
			o := custom(t, s)
			o.Endpoint = proxy.URL
			_, err := bucket.Open(t.Context(), bucket.Impatient(o, patience))
			checkError(t, err, code, test.remedy)
		})
	}
}
