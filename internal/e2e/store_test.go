//go:build e2e

package e2e

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

// store reads the sandbox's bucket with AWS's own client, under the role that a job would assume.
type store struct {
	client *s3.Client
	bucket string
}

func (s *sandbox) store(t *testing.T) *store {
	t.Helper()
	certificate, err := os.ReadFile(s.environment["AWS_CA_BUNDLE"])
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(certificate)
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig.RootCAs = roots
	client, region := &http.Client{Transport: transport}, s.environment["AWS_REGION"]
	tokens := sts.New(sts.Options{Region: region, BaseEndpoint: aws.String(s.environment["AWS_ENDPOINT_URL_STS"]),
		HTTPClient: client})
	role := stscreds.NewWebIdentityRoleProvider(tokens, s.environment["ROLE_TO_ASSUME"], identity{s})
	return &store{bucket: s.environment["S3_BUCKET"], client: s3.New(s3.Options{
		Region: region, BaseEndpoint: aws.String(s.environment["S3_ENDPOINT"]), UsePathStyle: true,
		Credentials: aws.NewCredentialsCache(role), HTTPClient: client,
	})}
}

// identity asks the sandbox's token service for a job's identity token.
type identity struct{ sandbox *sandbox }

func (i identity) GetIdentityToken() ([]byte, error) {
	query := "&audience=" + url.QueryEscape("sts.amazonaws.com")
	req, err := http.NewRequest(http.MethodGet, i.sandbox.environment["ACTIONS_ID_TOKEN_REQUEST_URL"]+query, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+i.sandbox.environment["ACTIONS_ID_TOKEN_REQUEST_TOKEN"])
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	var answer struct{ Value string }
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		return nil, fmt.Errorf("the token service answered %s: %w", resp.Status, err)
	}
	return []byte(answer.Value), nil
}

// keys lists the bucket's keys, sorted.
func (s *store) keys(t *testing.T) []string {
	t.Helper()
	list, err := s.client.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: &s.bucket})
	if err != nil {
		t.Fatal(err)
	}
	var keys []string
	for _, o := range list.Contents {
		keys = append(keys, aws.ToString(o.Key))
	}
	return keys
}

// under lists the keys in a folder.
func (s *store) under(t *testing.T, folder string) []string {
	t.Helper()
	return slices.DeleteFunc(s.keys(t), func(key string) bool { return !strings.HasPrefix(key, folder) })
}

// parts counts the parts of unfinished uploads, by key.
func (s *store) parts(t *testing.T) map[string]int {
	t.Helper()
	list, err := s.client.ListMultipartUploads(t.Context(), &s3.ListMultipartUploadsInput{Bucket: &s.bucket})
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]int{}
	for _, u := range list.Uploads {
		parts, err := s.client.ListParts(t.Context(), &s3.ListPartsInput{Bucket: &s.bucket, Key: u.Key,
			UploadId: u.UploadId})
		if err != nil {
			t.Fatal(err)
		}
		found[aws.ToString(u.Key)] = len(parts.Parts)
	}
	return found
}

func (s *store) put(t *testing.T, key, contents string) {
	t.Helper()
	if _, err := s.client.PutObject(t.Context(),
		&s3.PutObjectInput{Bucket: &s.bucket, Key: &key, Body: strings.NewReader(contents)}); err != nil {
		t.Fatal(err)
	}
}

func (s *store) get(t *testing.T, key string) []byte {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	object, err := s.client.GetObject(ctx, &s3.GetObjectInput{Bucket: &s.bucket, Key: &key})
	if err != nil {
		t.Fatal(err)
	}
	defer object.Body.Close()
	data, err := io.ReadAll(object.Body)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// manifest is the part of a backup's manifest that these tests read.
type manifest struct {
	Key          string
	Tenant       struct{ Name, ID, Key string }
	StoredSize   int64  `json:"stored_size"`
	StoredSHA256 string `json:"stored_sha256"`
	PlainSize    int64  `json:"plain_size"`
	PlainSHA256  string `json:"plain_sha256"`
}

// wantBackup compares a tenant's backup with its manifest, and returns the SQL in it.
func (s *store) wantBackup(t *testing.T, tenant tenant, key string) string {
	t.Helper()
	var m manifest
	if err := json.Unmarshal(s.get(t, key+".json"), &m); err != nil {
		t.Fatalf("the manifest of %s: %v", key, err)
	}
	if m.Key != key || m.Tenant.Name != tenant.name || m.Tenant.ID != tenant.id {
		t.Errorf("the manifest of %s's %s is of %s's %s", tenant.name, key, m.Tenant.Name, m.Key)
	}
	stored := s.get(t, key)
	if sum := fmt.Sprintf("%x", sha256.Sum256(stored)); int64(len(stored)) != m.StoredSize || sum != m.StoredSHA256 {
		t.Errorf("%s has %d bytes with SHA-256 %s; its manifest says %d and %s", key, len(stored), sum, m.StoredSize,
			m.StoredSHA256)
	}
	packed, err := gzip.NewReader(bytes.NewReader(stored))
	if err != nil {
		t.Fatalf("%s: %v", key, err)
	}
	plain, err := io.ReadAll(packed)
	if err != nil {
		t.Fatalf("%s: %v", key, err)
	}
	if sum := fmt.Sprintf("%x", sha256.Sum256(plain)); int64(len(plain)) != m.PlainSize || sum != m.PlainSHA256 {
		t.Errorf("%s holds %d bytes with SHA-256 %s; its manifest says %d and %s", key, len(plain), sum, m.PlainSize,
			m.PlainSHA256)
	}
	if end := plain[max(0, len(plain)-512):]; !bytes.Contains(end, []byte("-- PostgreSQL database dump complete")) {
		t.Errorf("%s does not end as a dump does: %q", key, end)
	}
	return string(plain)
}
