package buckettest

import (
	"cmp"
	"context"
	"encoding/xml"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/org/neon-tenants-action/internal/servertest"
)

// Fault breaks calls of one operation.
type Fault struct {
	Operation string // S3's name: UploadPart, PutObject, …, and AssumeRoleWithWebIdentity
	// Nth is the first call that is broken, from 1, counted from when the fault was injected. Zero: 1.
	Nth int
	// Times is how many calls are broken. Zero: all from the Nth on.
	Times int
	Way   Way
	// Status and Code are what Refuse answers. Zero: 403 AccessDenied.
	Status  int
	Code    string
	Message string
	// Then is called when a call is about to be broken.
	Then func()
}

// Way is how a call is broken.
type Way int

// The ways.
const (
	Refuse     Way = iota // answered with an error, not passed on
	Pass                  // not broken: for Then
	Stall                 // half of its body is read, and nothing more happens
	Cut                   // half of its body is read, and the connection closed
	LoseAnswer            // passed on, and the connection closed instead of the answer
	StallAfter            // passed on, and never answered
	// passed on, and of the answer's body only half
	CutAnswer   // is sent, before the connection is closed
	StallAnswer // is sent, and nothing more happens
	// DamageAnswer changes a byte in the middle of the answer's body.
	DamageAnswer
)

// Inject adds a fault. Several for one operation: the first that is due counts.
func (f *Front) Inject(fault Fault) {
	f.faults.Add(fault, servertest.Trigger{After: max(fault.Nth-1, 0), Times: fault.Times})
}

// OnStall has the client's address told of each connection on which nothing more is going to happen.
func (f *Front) OnStall(tell func(client string)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.stalled = tell
}

// RefuseHeaders answers 501 to requests with one of these headers, as stores do that don't know them.
func (f *Front) RefuseHeaders(names ...string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.unknown = names
}

// DenyDelete keeps an object from being deleted, alone or in a batch, with an error of its own.
func (f *Front) DenyDelete(key, code, message string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.denied[key] = denial{key, code, message}
}

// ShortenSessions lets the token service's sessions end after so long, as far as its answers tell.
func (f *Front) ShortenSessions(to time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.sessions = to
}

func (f *Front) breakCall(w http.ResponseWriter, r *http.Request, fault Fault) {
	if fault.Then != nil {
		fault.Then()
	}
	switch fault.Way {
	case Refuse:
		code := fault.Code
		if code == "" && fault.Status == 0 {
			code = "AccessDenied"
		}
		refuse(w, r, cmp.Or(fault.Status, http.StatusForbidden), code, cmp.Or(fault.Message, "refused by a test"))
		return
	case Pass:
		f.proxy.ServeHTTP(w, r)
		return
	case Cut, Stall:
		_, _ = io.CopyN(io.Discard, r.Body, r.ContentLength/2) // it is broken in any case
	case LoseAnswer, StallAfter:
		f.proxy.ServeHTTP(httptest.NewRecorder(), r)
	case CutAnswer, StallAnswer, DamageAnswer:
		answer := httptest.NewRecorder()
		f.proxy.ServeHTTP(answer, r)
		maps.Copy(w.Header(), answer.Header())
		w.WriteHeader(answer.Code)
		body := answer.Body.Bytes()
		if fault.Way == DamageAnswer {
			body[len(body)/2] ^= 1
			_, _ = w.Write(body) // a client that has gone has no use for it
			return
		}
		_, _ = w.Write(body[:len(body)/2]) // as above
		_ = http.NewResponseController(w).Flush()
	}
	if fault.Way == Stall || fault.Way == StallAfter || fault.Way == StallAnswer {
		f.mu.Lock()
		stalled := f.stalled
		f.mu.Unlock()
		if stalled != nil {
			stalled(r.RemoteAddr)
		}
		select {
		case <-f.closed:
		case <-r.Context().Done():
		}
	}
	panic(http.ErrAbortHandler) // closes the connection
}

// list answers ListMultipartUploads out of what the front has seen.
func (f *Front) list(w http.ResponseWriter, r *http.Request, c call) {
	type entry struct {
		Key       string
		ID        string `xml:"UploadId"`
		Initiated string
	}
	answer := struct {
		XMLName                       xml.Name `xml:"ListMultipartUploadsResult"`
		Bucket, Prefix, NextKeyMarker string
		NextID                        string `xml:"NextUploadIdMarker"`
		MaxUploads                    int
		IsTruncated                   bool
		Upload                        []entry
	}{Bucket: c.bucket, Prefix: r.URL.Query().Get("prefix")}
	q := r.URL.Query()
	answer.MaxUploads, _ = strconv.Atoi(q.Get("max-uploads"))
	answer.MaxUploads = cmp.Or(answer.MaxUploads, 1000)
	f.mu.Lock()
	uploads := slices.Clone(f.uploads)
	f.mu.Unlock()
	slices.SortFunc(uploads, func(a, b upload) int { return cmp.Or(cmp.Compare(a.key, b.key), cmp.Compare(a.id, b.id)) })
	for _, u := range uploads {
		after := cmp.Or(cmp.Compare(u.key, q.Get("key-marker")), cmp.Compare(u.id, q.Get("upload-id-marker")))
		if u.bucket != c.bucket || !strings.HasPrefix(u.key, answer.Prefix) || after <= 0 {
			continue
		}
		if len(answer.Upload) == answer.MaxUploads {
			answer.IsTruncated = true
			break
		}
		answer.Upload = append(answer.Upload, entry{u.key, u.id, u.initiated.UTC().Format(time.RFC3339)})
		answer.NextKeyMarker, answer.NextID = u.key, u.id
	}
	w.Header().Set("Content-Type", "application/xml")
	_ = xml.NewEncoder(w).Encode(answer) // a client that has gone has no use for it
}

// Abandon leaves an unfinished upload behind, as a killed program does.
func (f *Front) Abandon(ctx context.Context, bucket, key string) error {
	out, err := f.server.client.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{Bucket: &bucket, Key: &key})
	if err != nil {
		return fmt.Errorf("begin an upload to abandon: %w", err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.uploads = append(f.uploads, upload{bucket, key, aws.ToString(out.UploadId), time.Now()})
	return nil
}

// Age makes the unfinished uploads older, as far as the front's listing tells.
func (f *Front) Age(by time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := range f.uploads {
		f.uploads[i].initiated = f.uploads[i].initiated.Add(-by)
	}
}

// InFront returns a front of the test's own before a server.
func InFront(t testing.TB, s *Server) *Front {
	t.Helper()
	f, err := NewFront(s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.Close(); err != nil {
			t.Errorf("stop MinIO's front: %v", err)
		}
	})
	return f
}
