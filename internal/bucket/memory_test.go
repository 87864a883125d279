package bucket_test

import (
	"context"
	"crypto/rand"
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/org/neon-tenants-action/internal/bucket"
)

var slow = flag.Bool("slow", false, "in TestMemory, upload 1 GiB per stream instead of 32 MiB")

// sink is a slow store that discards what is uploaded. It supports no more than an upload needs.
type sink struct {
	rate  int // bytes per second, of each connection
	mu    sync.Mutex
	nonce map[string]string
	size  map[string]int64
}

func (s *sink) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	began, n := time.Now(), int64(0)
	buffer := make([]byte, 128<<10)
	for {
		read, err := r.Body.Read(buffer)
		n += int64(read)
		if err != nil {
			break
		}
		time.Sleep(time.Duration(n)*time.Second/time.Duration(s.rate) - time.Since(began))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	q, key := r.URL.Query(), r.URL.Path
	s.size[key] += n
	if nonce := r.Header.Get("X-Amz-Meta-Write-Id"); nonce != "" {
		s.nonce[key] = nonce
	}
	w.Header().Set("ETag", `"0"`)
	switch {
	case r.Method == http.MethodHead:
		w.Header().Set("X-Amz-Meta-Write-Id", s.nonce[key])
		w.Header().Set("Content-Length", strconv.FormatInt(s.size[key], 10))
	case q.Has("uploads"):
		fmt.Fprint(w, "<InitiateMultipartUploadResult><UploadId>1</UploadId></InitiateMultipartUploadResult>")
	case r.Method == http.MethodPost:
		s.size[key] -= n // the list of parts
		fmt.Fprint(w, "<CompleteMultipartUploadResult></CompleteMultipartUploadResult>")
	case r.Method == http.MethodGet:
		fmt.Fprint(w, "<ListBucketResult></ListBucketResult>")
	}
}

// TestMemory uploads 16 streams at once, faster than the store takes them, and measures the whole process, including
// the store. With -slow each stream has 1 GiB.
func TestMemory(t *testing.T) {
	const streams, limit = 16, 256 + raceMemory
	size := int64(32 * mebibyte)
	if *slow {
		size = 1 << 30
	}
	for name, value := range map[string]string{
		"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_CONFIG_FILE": "/dev/null",
	} {
		t.Setenv(name, value)
	}
	server := httptest.NewServer(&sink{rate: 60e6, nonce: map[string]string{}, size: map[string]int64{}})
	defer server.Close()
	b := open(t, bucket.Options{Bucket: "sink", Region: "auto", Endpoint: server.URL, PathStyle: true})
	contents := make([]byte, mebibyte)
	if _, err := rand.Read(contents); err != nil {
		t.Fatal(err)
	}
	runtime.GC()
	if err := os.WriteFile("/proc/self/clear_refs", []byte("5"), 0o200); err != nil {
		t.Skipf("the peak of the process's memory cannot be reset here: %v", err)
	}
	began := time.Now()
	group, ctx := errgroup.WithContext(context.Background())
	for i := range streams {
		group.Go(func() error {
			// the size of the database, before compression
			w, err := b.Create(ctx, fmt.Sprint(i), bucket.Info{SizeEstimate: 50 << 30})
			if err != nil {
				return err
			}
			for written := int64(0); written < size; written += int64(len(contents)) {
				if _, err := w.Write(contents); err != nil {
					return err
				}
			}
			_, err = w.Commit(ctx)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	peak, err := strconv.Atoi(strings.Fields(rest)[0])
	if err != nil {
		t.Fatal(err)
	}
	took := time.Since(began)
	t.Logf("%d streams of %d MiB: peak of the process %d MiB, %.1f s, %.0f MB/s",
		streams, size>>20, peak>>10, took.Seconds(), float64(streams*size)/1e6/took.Seconds())
	if peak>>10 > limit {
		t.Errorf("the process took %d MiB, more than %d", peak>>10, limit)
	}
}
