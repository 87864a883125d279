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
	"time"

	"github.com/org/neon-tenants-action/internal/servertest"
)

// Front stands before a server, at an address and with a name of its own, and breaks the calls that it is told to. It also
// lists unfinished uploads as S3 does, where MinIO only tells those of one whole key.
type Front struct {
	URL string

	server *Server
	proxy  *httputil.ReverseProxy
	http   *servertest.HTTP
	closed chan struct{} // releases what is stalled

	faults servertest.Faults[Fault]

	mu       sync.Mutex
	unknown  []string // headers that the store does not know
	calls    map[string]int
	uploads  []upload
	denied   map[string]denial
	stalled  func(client string)
	sessions time.Duration // what the token service's sessions are said to last; 0: what they do
}

// denial is an object that may not be deleted.
type denial struct{ Key, Code, Message string }

// upload is an unfinished one, as its answers told.
type upload struct {
	bucket, key, id string
	initiated       time.Time
}

// NewFront starts a front; it ends with Close.
func NewFront(s *Server) (*Front, error) {
	target, err := url.Parse(s.URL)
	if err != nil {
		return nil, fmt.Errorf("start MinIO's front: %w", err)
	}
	f := &Front{server: s, closed: make(chan struct{}), calls: map[string]int{}, denied: map[string]denial{}}
	f.proxy = &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.Host = r.In.Host // the signature covers it
		},
		Transport:      s.transport(),
		ModifyResponse: f.note,
		ErrorHandler:   func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
	}
	if s.options.NoTLS {
		f.http, err = servertest.Serve("127.0.0.1:0", f)
	} else {
		certificates := filepath.Join(s.dir, "certs")
		f.http, err = servertest.ServeTLS("127.0.0.1:0", f, filepath.Join(certificates, "public.crt"), filepath.Join(certificates, "private.key"))
	}
	if err != nil {
		return nil, fmt.Errorf("start MinIO's front: %w", err)
	}
	f.URL = target.Scheme + "://" + f.http.Address()
	return f, nil
}

// Close stops the front and releases what is stalled in it.
func (f *Front) Close() error {
	f.mu.Lock()
	select {
	case <-f.closed:
	default:
		close(f.closed)
	}
	f.mu.Unlock()
	return f.http.Close()
}

// Calls is how often an operation was called, broken calls included.
func (f *Front) Calls(operation string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.calls[operation]
}

// Unfinished returns the keys of the uploads that were begun and neither completed nor aborted.
func (f *Front) Unfinished() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var keys []string
	for _, u := range f.uploads {
		keys = append(keys, u.key)
	}
	return keys
}

// call is what a request asks for.
type call struct {
	operation   string
	bucket, key string
}

func (f *Front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c := parse(r)
	fault, struck := f.faults.Strike(func(fault Fault) bool { return fault.Operation == c.operation })
	f.mu.Lock()
	f.calls[c.operation]++
	var unknown string
	for _, name := range f.unknown {
		if r.Header.Get(name) != "" {
			unknown = name
		}
	}
	refusal := f.denied[c.key]
	f.mu.Unlock()
	switch {
	case unknown != "":
		refuse(w, r, http.StatusNotImplemented, "NotImplemented", "A header you provided implies functionality that is not implemented: "+unknown)
	case struck:
		f.breakCall(w, r, fault)
	case c.operation == "ListMultipartUploads":
		f.list(w, r, c)
	case c.operation == "DeleteObject" && refusal.Key != "":
		refuse(w, r, http.StatusForbidden, refusal.Code, refusal.Message)
	case c.operation == "DeleteObjects" && len(f.denied) > 0:
		f.deleteSome(w, r)
	default:
		f.proxy.ServeHTTP(w, r)
	}
}

// parse tells an operation by the method and the query, as S3 does.
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

// note keeps track of uploads by the server's own answers.
func (f *Front) note(resp *http.Response) error {
	r := resp.Request
	c := parse(r)
	id := r.URL.Query().Get("uploadId")
	switch {
	case c.operation == "CreateMultipartUpload" && resp.StatusCode == http.StatusOK:
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			return fmt.Errorf("read MinIO's answer: %w", err)
		}
		resp.Body = io.NopCloser(bytes.NewReader(body))
		var created struct {
			ID string `xml:"UploadId"`
		}
		if err := xml.Unmarshal(body, &created); err != nil {
			return fmt.Errorf("read MinIO's answer: %w", err)
		}
		f.mu.Lock()
		f.uploads = append(f.uploads, upload{c.bucket, c.key, created.ID, time.Now()})
		f.mu.Unlock()
	case c.operation == "AssumeRoleWithWebIdentity" && resp.StatusCode == http.StatusOK:
		return f.shorten(resp)
	case c.operation == "AbortMultipartUpload" && resp.StatusCode == http.StatusNoContent,
		c.operation == "CompleteMultipartUpload" && resp.StatusCode == http.StatusOK:
		f.mu.Lock()
		for i, u := range f.uploads {
			if u.id == id {
				f.uploads = append(f.uploads[:i], f.uploads[i+1:]...)
				break
			}
		}
		f.mu.Unlock()
	}
	return nil
}

// refuse answers as S3 does where it does not do what it is asked. It reads the request to its end, as S3 does with small ones.
func refuse(w http.ResponseWriter, r *http.Request, status int, code, message string) {
	_, _ = io.Copy(io.Discard, r.Body) // its end is the client's affair
	w.Header().Set("Content-Type", "application/xml")
	w.Header().Set("X-Amz-Request-Id", "17F3A4B5C6D7E8F9")
	w.WriteHeader(status)
	if r.Method == http.MethodHead {
		return
	}
	type answer struct {
		XMLName       xml.Name
		Code, Message string
		RequestID     string `xml:"RequestId"`
	}
	body := any(answer{xml.Name{Local: "Error"}, code, message, "17F3A4B5C6D7E8F9"})
	if parse(r).operation == "AssumeRoleWithWebIdentity" {
		body = struct { // the token service wraps it
			XMLName xml.Name `xml:"https://sts.amazonaws.com/doc/2011-06-15/ ErrorResponse"`
			Error   any
		}{Error: body}
	}
	_ = xml.NewEncoder(w).Encode(body) // a client that has gone has no use for it
}
