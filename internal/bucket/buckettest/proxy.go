package buckettest

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/org/neon-tenants-action/internal/servertest"
)

// FaultProxy is a proxy in front of a [Server] that injects faults. It also lists unfinished uploads by prefix, as S3
// does: MinIO only lists those of one whole key.
type FaultProxy struct {
	URL string

	server *Server
	proxy  *httputil.ReverseProxy
	http   *servertest.HTTP
	closed chan struct{} // releases stalled requests

	faults servertest.Faults[Fault]

	mu       sync.Mutex
	unknown  []string // headers that the store does not know
	calls    map[string]int
	uploads  []upload
	denied   map[string]denial
	stalled  func(client string)
	clock    time.Duration // by how much the store's clock appears to be ahead
	sessions time.Duration // how long the token service's sessions appear to last; 0: unchanged
}

// denial is an object that may not be deleted.
type denial struct{ Key, Code, Message string }

// upload is an unfinished upload, as seen in the server's responses.
type upload struct {
	bucket, key, id string
	initiated       time.Time
}

// StartFaultProxy returns a proxy of the test's own in front of a server.
func StartFaultProxy(t testing.TB, s *Server) *FaultProxy {
	t.Helper()
	p, err := NewFaultProxy(s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Errorf("stop the fault proxy: %v", err)
		}
	})
	return p
}

// NewFaultProxy starts a proxy in front of a server. The caller must close it.
func NewFaultProxy(s *Server) (*FaultProxy, error) {
	target, err := url.Parse(s.URL)
	if err != nil {
		return nil, fmt.Errorf("start a fault proxy: %w", err)
	}
	p := &FaultProxy{server: s, closed: make(chan struct{}), calls: map[string]int{}, denied: map[string]denial{}}
	p.proxy = &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.Host = r.In.Host // the signature covers it
		},
		Transport:      s.transport(),
		ModifyResponse: p.observe,
		ErrorHandler:   func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
	}
	if s.options.NoTLS {
		p.http, err = servertest.Serve("127.0.0.1:0", p)
	} else {
		certs := filepath.Join(s.dir, "certs")
		p.http, err = servertest.ServeTLS("127.0.0.1:0", p,
			filepath.Join(certs, "public.crt"), filepath.Join(certs, "private.key"))
	}
	if err != nil {
		return nil, fmt.Errorf("start a fault proxy: %w", err)
	}
	p.URL = target.Scheme + "://" + p.http.Address()
	return p, nil
}

// Close stops the proxy and ends its connections, stalled ones too.
func (p *FaultProxy) Close() error {
	p.mu.Lock()
	select {
	case <-p.closed:
	default:
		close(p.closed)
	}
	p.mu.Unlock()
	return p.http.Close()
}

// Calls returns how often an operation was called, including calls that a fault struck.
func (p *FaultProxy) Calls(operation string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.calls[operation]
}

// Unfinished returns the keys of the uploads that were neither completed nor aborted.
func (p *FaultProxy) Unfinished() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var keys []string
	for _, u := range p.uploads {
		keys = append(keys, u.key)
	}
	return keys
}

// call is what a request asks for.
type call struct {
	operation   string
	bucket, key string
}

func (p *FaultProxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c := parse(r)
	fault, struck := p.faults.Strike(func(fault Fault) bool { return fault.Operation == c.operation })
	p.mu.Lock()
	p.calls[c.operation]++
	var unknown string
	for _, name := range p.unknown {
		if r.Header.Get(name) != "" {
			unknown = name
		}
	}
	denial := p.denied[c.key]
	p.mu.Unlock()
	switch {
	case unknown != "":
		refuse(w, r, http.StatusNotImplemented, "NotImplemented",
			"A header you provided implies functionality that is not implemented: "+unknown)
	case struck:
		p.inject(w, r, fault)
	case c.operation == "ListMultipartUploads":
		p.list(w, r, c)
	case c.operation == "DeleteObject" && denial.Key != "":
		refuse(w, r, http.StatusForbidden, denial.Code, denial.Message)
	case c.operation == "DeleteObjects" && len(p.denied) > 0:
		p.deleteSome(w, r)
	default:
		p.proxy.ServeHTTP(w, r)
	}
}

// parse tells the operation from the method and the query, as S3 does.
func parse(r *http.Request) call {
	var c call
	path := strings.TrimPrefix(r.URL.Path, "/")
	if bucket, ok := strings.CutSuffix(r.Host, "."+Domain); ok {
		c.bucket, c.key = bucket, path
	} else {
		c.bucket, c.key, _ = strings.Cut(path, "/")
	}
	q := r.URL.Query()
	for _, rule := range []struct {
		method, query string
		key           bool
		operation     string
	}{
		{"POST", "uploads", true, "CreateMultipartUpload"},
		{"PUT", "partNumber", true, "UploadPart"},
		{"POST", "uploadId", true, "CompleteMultipartUpload"},
		{"DELETE", "uploadId", true, "AbortMultipartUpload"},
		{"GET", "uploadId", true, "ListParts"},
		{"GET", "uploads", false, "ListMultipartUploads"},
		{"POST", "delete", false, "DeleteObjects"},
		{"GET", "list-type", false, "ListObjectsV2"},
		{"PUT", "", true, "PutObject"},
		{"GET", "", true, "GetObject"},
		{"HEAD", "", true, "HeadObject"},
		{"DELETE", "", true, "DeleteObject"},
		{"POST", "", false, "AssumeRoleWithWebIdentity"},
	} {
		if r.Method == rule.method && (rule.query == "" || q.Has(rule.query)) && rule.key == (c.key != "") {
			c.operation = rule.operation
			break
		}
	}
	return c
}

// observe keeps track of unfinished uploads by the server's responses, and shortens sessions in them.
func (p *FaultProxy) observe(resp *http.Response) error {
	p.shift(resp)
	r := resp.Request
	c := parse(r)
	id := r.URL.Query().Get("uploadId")
	switch {
	case c.operation == "CreateMultipartUpload" && resp.StatusCode == http.StatusOK:
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			return fmt.Errorf("read MinIO's response: %w", err)
		}
		resp.Body = io.NopCloser(bytes.NewReader(body))
		var created struct {
			ID string `xml:"UploadId"`
		}
		if err := xml.Unmarshal(body, &created); err != nil {
			return fmt.Errorf("read MinIO's response: %w", err)
		}
		p.mu.Lock()
		p.uploads = append(p.uploads, upload{c.bucket, c.key, created.ID, time.Now()})
		p.mu.Unlock()
	case c.operation == "AssumeRoleWithWebIdentity" && resp.StatusCode == http.StatusOK:
		return p.shorten(resp)
	case c.operation == "AbortMultipartUpload" && resp.StatusCode == http.StatusNoContent,
		c.operation == "CompleteMultipartUpload" && resp.StatusCode == http.StatusOK:
		p.mu.Lock()
		for i, u := range p.uploads {
			if u.id == id {
				p.uploads = append(p.uploads[:i], p.uploads[i+1:]...)
				break
			}
		}
		p.mu.Unlock()
	}
	return nil
}
