package bucket_test

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/org/neon-tenants-action/internal/bucket"
	"github.com/org/neon-tenants-action/internal/bucket/buckettest"
)

// nothingLeft asks the server itself, past the proxy, and by the whole key, as MinIO requires, and then the proxy.
func nothingLeft(t *testing.T, s *buckettest.Server, proxy *buckettest.FaultProxy, name, key string) {
	t.Helper()
	if _, err := s.Client().HeadObject(context.Background(), &s3.HeadObjectInput{Bucket: &name, Key: &key}); err == nil {
		t.Error("there is an object")
	}
	out, err := s.Client().ListMultipartUploads(context.Background(), &s3.ListMultipartUploadsInput{
		Bucket: &name, Prefix: &key,
	})
	if err != nil {
		t.Error(err)
	} else if len(out.Uploads) > 0 {
		t.Errorf("%d unfinished uploads", len(out.Uploads))
	}
	if keys := proxy.Unfinished(); len(keys) > 0 {
		t.Errorf("unfinished, as the proxy saw it: %v", keys)
	}
}

const (
	small = 100_000
	large = 3*8*mebibyte + 1 // four parts
)

// TestFaults breaks each request of an upload in each way. A failed upload leaves nothing behind.
func TestFaults(t *testing.T) {
	t.Parallel()
	s := buckettest.Shared(t)
	type F = buckettest.Fault
	for _, test := range []struct {
		name  string
		size  int64
		fault F
		want  string // part of the error; empty: success
	}{
		{"begin refused", large, F{Operation: "CreateMultipartUpload"}, "begin to upload s3://"},
		{"begin: response lost", large,
			F{Operation: "CreateMultipartUpload", Way: buckettest.LoseResponse}, "begin to upload"},
		{"begin: response lost once", large,
			F{Operation: "CreateMultipartUpload", Way: buckettest.LoseResponse, Times: 1}, ""},
		{"first part refused", large, F{Operation: "UploadPart", Nth: 1}, "403 AccessDenied: refused by a test"},
		{"middle part refused", large, F{Operation: "UploadPart", Nth: 2, Times: 1}, "upload part"},
		{"last part refused", large, F{Operation: "UploadPart", Nth: 4}, "upload part"},
		{"store full", large,
			F{Operation: "UploadPart", Nth: 3, Status: http.StatusInsufficientStorage, Code: "XMinioStorageFull"},
			"507 XMinioStorageFull"},
		{"part cut once", large, F{Operation: "UploadPart", Nth: 2, Times: 1, Way: buckettest.Cut}, ""},
		{"parts cut", large, F{Operation: "UploadPart", Nth: 2, Way: buckettest.Cut}, "upload part"},
		{"part stalled once", large, F{Operation: "UploadPart", Nth: 2, Times: 1, Way: buckettest.Stall}, ""},
		{"parts stalled", large, F{Operation: "UploadPart", Nth: 2, Way: buckettest.Stall}, "timeout"},
		{"part: response lost once", large, F{Operation: "UploadPart", Nth: 3, Times: 1, Way: buckettest.LoseResponse}, ""},
		{"slow down", large,
			F{Operation: "UploadPart", Nth: 2, Times: 3, Status: http.StatusServiceUnavailable, Code: "SlowDown"}, ""},
		{"part lost once", large, F{Operation: "UploadPart", Nth: 2, Times: 1, Status: 499, Code: "ClientDisconnected"}, ""},
		{"completion lost once", large,
			F{Operation: "CompleteMultipartUpload", Times: 1, Status: 499, Code: "ClientDisconnected"}, ""},
		{"put lost once", small,
			F{Operation: "PutObject", Times: 1, Status: http.StatusRequestTimeout, Code: "RequestTimeout"}, ""},
		{"put lost", small, F{Operation: "PutObject", Status: 499, Code: "ClientDisconnected"}, "499 ClientDisconnected"},
		{"session ended once", large,
			F{Operation: "UploadPart", Nth: 2, Times: 1, Status: http.StatusBadRequest, Code: "ExpiredToken"}, ""},
		{"session ended", large,
			F{Operation: "UploadPart", Nth: 2, Status: http.StatusBadRequest, Code: "ExpiredToken"}, "ExpiredToken"},
		{"completion refused", large, F{Operation: "CompleteMultipartUpload"}, "complete the upload of"},
		{"completion: server error", large,
			F{Operation: "CompleteMultipartUpload", Status: http.StatusInternalServerError, Code: "InternalError"},
			"InternalError"},
		{"completion: response lost once", large,
			F{Operation: "CompleteMultipartUpload", Way: buckettest.LoseResponse, Times: 1}, ""},
		{"completion: response always lost", large,
			F{Operation: "CompleteMultipartUpload", Way: buckettest.LoseResponse}, ""},
		{"look refused", large, F{Operation: "HeadObject", Status: http.StatusForbidden}, "look at"},
		{"put refused", small, F{Operation: "PutObject"}, "upload s3://"},
		{"put cut", small, F{Operation: "PutObject", Way: buckettest.Cut}, "upload s3://"},
		{"put stalled once", small, F{Operation: "PutObject", Way: buckettest.Stall, Times: 1}, ""},
		{"put: response lost once", small, F{Operation: "PutObject", Way: buckettest.LoseResponse, Times: 1}, ""},
		{"put: response always lost", small, F{Operation: "PutObject", Way: buckettest.LoseResponse}, ""},
		{"put: server error", small,
			F{Operation: "PutObject", Status: http.StatusInternalServerError, Code: "InternalError"}, "InternalError"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			proxy := buckettest.StartFaultProxy(t, s)
			o := custom(t, s)
			o.Endpoint = proxy.URL
			b := open(t, impatient(o, proxy))
			proxy.Inject(test.fault)
			proxy.Inject(F{Operation: "AbortMultipartUpload", Times: 2, Status: http.StatusServiceUnavailable, Code: "SlowDown"})
			key := keyAt(b, "acme", noon)
			_, err := write(t.Context(), b, key, test.size, bucket.Info{})
			if test.want == "" {
				if err != nil {
					t.Fatal(err)
				}
				r, err := b.Head(t.Context(), key)
				if err != nil || r.Size != test.size {
					t.Errorf("stored: %+v, %v", r, err)
				}
				if keys := proxy.Unfinished(); len(keys) > 0 {
					t.Errorf("unfinished: %v", keys)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Fatalf("got the error %v, want %q", err, test.want)
			}
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("cleaning up failed too: %v", err)
			}
			nothingLeft(t, s, proxy, o.Bucket, key)
		})
	}
}

// TestCancel cancels the run at each stage, while a request is served or stalled.
func TestCancel(t *testing.T) {
	t.Parallel()
	s := buckettest.Shared(t)
	for _, test := range []struct {
		operation string
		size      int64
		nth       int
	}{
		{"CreateMultipartUpload", large, 1},
		{"UploadPart", large, 1}, {"UploadPart", large, 2}, {"UploadPart", large, 4},
		{"CompleteMultipartUpload", large, 1}, {"HeadObject", large, 1}, {"PutObject", small, 1}, {"HeadObject", small, 1},
	} {
		for name, way := range map[string]buckettest.Way{
			"served": buckettest.Pass, "stalled": buckettest.Stall, "response stalled": buckettest.StallResponse,
		} {
			if test.operation == "HeadObject" && way != buckettest.Pass {
				continue // looking at the object has a time limit of its own
			}
			t.Run(test.operation+" "+name, func(t *testing.T) {
				t.Parallel()
				proxy := buckettest.StartFaultProxy(t, s)
				o := custom(t, s)
				o.Endpoint = proxy.URL
				b := open(t, bucket.Impatient(o, time.Minute))
				ctx, cancel := context.WithCancelCause(t.Context())
				defer cancel(nil)
				why := errors.New("the run was cancelled")
				var stopped time.Time
				proxy.Inject(buckettest.Fault{
					Operation: test.operation, Nth: test.nth, Times: 1, Way: way,
					Then: func() { stopped = time.Now(); cancel(why) },
				})
				key := keyAt(b, "acme", noon)
				_, err := write(ctx, b, key, test.size, bucket.Info{})
				if !errors.Is(err, why) {
					t.Fatalf("got the error %v", err)
				}
				if took := time.Since(stopped); took > 7*time.Second { // when a runner kills it
					t.Errorf("ended %s after the cancel", took)
				}
				nothingLeft(t, s, proxy, o.Bucket, key)
			})
		}
	}
}

func TestAbort(t *testing.T) {
	t.Parallel()
	s := buckettest.Shared(t)
	proxy := buckettest.StartFaultProxy(t, s)
	o := custom(t, s)
	o.Endpoint = proxy.URL
	b := open(t, bucket.Impatient(o, patience))
	for _, size := range []int64{0, small, large} {
		key := keyAt(b, "acme", noon)
		ctx, cancel := context.WithCancel(t.Context())
		w, err := b.Create(ctx, key, bucket.Info{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(make([]byte, size)); err != nil {
			t.Fatal(err)
		}
		cancel() // aborting has a time limit of its own
		for range 2 {
			if err := w.Abort(); err != nil {
				t.Error(err)
			}
		}
		if _, err := w.Commit(t.Context()); err == nil {
			t.Error("an aborted upload was committed")
		}
		if _, err := w.Write([]byte("x")); err == nil {
			t.Error("an aborted upload was written to")
		}
		nothingLeft(t, s, proxy, o.Bucket, key)
	}
}

func TestAbortStale(t *testing.T) {
	t.Parallel()
	s := buckettest.Shared(t)
	proxy := buckettest.StartFaultProxy(t, s)
	o := custom(t, s)
	o.Endpoint = proxy.URL
	b := open(t, bucket.Impatient(o, patience))
	folder := b.Folder("acme")
	ours := []string{keyAt(b, "acme", noon), keyAt(b, "acme", noon.Add(time.Hour))}
	others := []string{folder + "notes.txt", folder + "sub/20261122T120000Z-pg17.sql.gz", keyAt(b, "acme-two", noon)}
	for _, key := range slices.Concat(ours, others) {
		if err := proxy.Abandon(t.Context(), o.Bucket, key); err != nil {
			t.Fatal(err)
		}
	}
	clean := func() ([]string, error) {
		uploads, err := b.Unfinished(t.Context(), b.Folder(""))
		if err != nil {
			return nil, err
		}
		return b.AbortStale(t.Context(), uploads, time.Hour, func(key string) bool {
			return slices.Contains(ours, key)
		})
	}
	if aborted, err := clean(); err != nil || len(aborted) > 0 {
		t.Errorf("aborted %v, %v, but all are fresh", aborted, err)
	}
	proxy.Age(2 * time.Hour)
	aborted, err := clean()
	if err != nil || !slices.Equal(aborted, ours) {
		t.Errorf("aborted %v, %v, want %v", aborted, err, ours)
	}
	for _, key := range others {
		if !slices.Contains(proxy.Unfinished(), key) {
			t.Errorf("the upload of %s is gone", key)
		}
	}
}
