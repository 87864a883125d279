package main

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"

	"github.com/org/neon-tenants-action/internal/bucket/buckettest"
	"github.com/org/neon-tenants-action/internal/github/githubtest"
)

// backups is the bucket that exists from the start.
const backups = "tenant-backups"

// store is an S3 server with a token service that trusts the sandbox's identity tokens.
type store interface {
	String() string
	// environment leads AWS's clients to the store.
	environment() [][2]string
	// put writes a small object past the permissions of any role.
	put(ctx context.Context, key, content string) error
	// keys lists what the bucket holds, in order.
	keys(ctx context.Context) ([]string, error)
	stop() error
}

// startStore starts the store that the variable STORE names.
func startStore(ctx context.Context, issuer *githubtest.Issuer) (store, error) {
	switch name := os.Getenv("STORE"); name {
	case "", "memory":
		return startMemory(issuer)
	case "minio":
		return startMinIO(ctx, issuer)
	default:
		return nil, fmt.Errorf("STORE is %q; leave it empty for the built-in store, or set it to minio", name)
	}
}

// memory is an S3 server in this process that keeps its objects in memory. It is good enough to show the action, and is
// no judge of it: it compares no checksum and no signature, so tests run on MinIO. It speaks HTTP without TLS, because
// over TLS it would store the checksum that AWS's clients append to a body as part of the object.
type memory struct {
	url     string
	objects *s3mem.Backend
	server  *http.Server
	served  chan struct{}
}

func startMemory(issuer *githubtest.Issuer) (*memory, error) {
	objects := s3mem.New()
	if err := objects.CreateBucket(backups); err != nil {
		return nil, fmt.Errorf("create the bucket %s: %w", backups, err)
	}
	handler := gofakes3.New(objects).Server()
	if err := prime(handler); err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("start the store: %w", err)
	}
	m := &memory{url: "http://" + l.Addr().String(), objects: objects, served: make(chan struct{})}
	m.server = &http.Server{
		Handler:           newTokens(issuer.URL, handler),
		ReadHeaderTimeout: 10 * time.Second,
	}
	go func() {
		defer close(m.served)
		_ = m.server.Serve(l) // ErrServerClosed, by stop
	}()
	return m, nil
}

// prime begins an upload and aborts it. Before a bucket's first upload the server answers a request for the unfinished
// ones with an error, where S3 has an empty list.
func prime(handler http.Handler) error {
	const object = "/" + backups + "/primed"
	begun := httptest.NewRecorder()
	handler.ServeHTTP(begun, httptest.NewRequest(http.MethodPost, object+"?uploads", nil))
	var upload struct {
		ID string `xml:"UploadId"`
	}
	if err := xml.Unmarshal(begun.Body.Bytes(), &upload); err != nil {
		return fmt.Errorf("begin an upload: %w", err)
	}
	aborted := httptest.NewRecorder()
	handler.ServeHTTP(aborted, httptest.NewRequest(http.MethodDelete, object+"?uploadId="+upload.ID, nil))
	if aborted.Code != http.StatusNoContent {
		return fmt.Errorf("abort an upload: status %d", aborted.Code)
	}
	return nil
}

func (m *memory) String() string { return "a server in this process" }

func (m *memory) environment() [][2]string {
	return [][2]string{
		{"S3_ENDPOINT", m.url},
		{"S3_BUCKET", backups},
		{"ROLE_TO_ASSUME", roleARN},
		{"AWS_REGION", buckettest.Region},
		{"AWS_ENDPOINT_URL_STS", m.url},
	}
}

func (m *memory) put(_ context.Context, key, content string) error {
	_, err := m.objects.PutObject(backups, key, map[string]string{}, strings.NewReader(content), int64(len(content)), nil)
	return err
}

func (m *memory) keys(context.Context) ([]string, error) {
	list, err := m.objects.ListBucket(backups, nil, gofakes3.ListBucketPage{})
	if err != nil {
		return nil, fmt.Errorf("list the bucket: %w", err)
	}
	var keys []string
	for _, object := range list.Contents {
		keys = append(keys, object.Key)
	}
	return keys, nil
}

func (m *memory) stop() error {
	err := m.server.Close()
	<-m.served
	return err
}

// minio is the store that tests and benchmarks run on.
type minio struct{ *buckettest.Server }

func startMinIO(ctx context.Context, issuer *githubtest.Issuer) (minio, error) {
	server, err := buckettest.Start(ctx, buckettest.Options{Issuer: issuer.URL})
	if err != nil {
		return minio{}, err
	}
	if err := server.CreateBucket(ctx, backups, false); err != nil {
		return minio{}, errors.Join(err, server.Stop())
	}
	return minio{server}, nil
}

func (m minio) String() string { return "MinIO" }

func (m minio) environment() [][2]string {
	return [][2]string{
		{"S3_ENDPOINT", m.URL},
		{"S3_BUCKET", backups},
		{"ROLE_TO_ASSUME", m.RoleARN},
		{"AWS_REGION", buckettest.Region},
		{"AWS_ENDPOINT_URL_STS", m.URL},
		{"AWS_CA_BUNDLE", m.CAFile},
	}
}

func (m minio) put(ctx context.Context, key, content string) error {
	bucket := backups
	_, err := m.Client().PutObject(ctx, &s3.PutObjectInput{Bucket: &bucket, Key: &key, Body: strings.NewReader(content)})
	return err
}

func (m minio) keys(ctx context.Context) ([]string, error) {
	bucket := backups
	list, err := m.Client().ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: &bucket})
	if err != nil {
		return nil, fmt.Errorf("list the bucket: %w", err)
	}
	var keys []string
	for _, object := range list.Contents {
		keys = append(keys, aws.ToString(object.Key))
	}
	return keys, nil
}

func (m minio) stop() error { return m.Stop() }
