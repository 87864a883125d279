package buckettest

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/org/neon-tenants-action/internal/servertest"
)

// Fault breaks calls of one operation.
type Fault struct {
	Operation string // S3's name, such as UploadPart, or AssumeRoleWithWebIdentity
	// Nth is the first call to break, counted from 1 since the fault was injected. Zero: 1.
	Nth int
	// Times is how many calls to break. Zero: all from the Nth on.
	Times int
	Way   Way
	// Status and Code are what Refuse responds with. Zero: 403 AccessDenied.
	Status  int
	Code    string
	Message string
	// Then is called just before a call is broken.
	Then func()
}

// Way is how a call is broken.
type Way int

// The ways to break a call. The first four don't pass the call on.
const (
	Refuse Way = iota // respond with an error
	Stall             // read half of the body, then nothing
	Cut               // read half of the body, then close the connection
	Pass              // pass the call on unbroken: for Then

	LoseResponse  // pass the call on, then close the connection in place of the response
	StallResponse // pass the call on, then nothing
	CutBody       // close the connection after half of the response's body
	StallBody     // send nothing after half of the response's body
	DamageBody    // flip a bit in the middle of the response's body
)

// Inject adds a fault. Of several for one operation, the first that is due strikes.
func (p *FaultProxy) Inject(fault Fault) {
	p.faults.Add(fault, servertest.Trigger{After: max(fault.Nth-1, 0), Times: fault.Times})
}

// OnStall calls tell with the client's address for each connection that a fault stalls.
func (p *FaultProxy) OnStall(tell func(client string)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stalled = tell
}

// RefuseHeaders responds with status 501 to requests that have one of these headers, as stores do that don't know them.
func (p *FaultProxy) RefuseHeaders(names ...string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.unknown = names
}

// DenyDelete refuses to delete an object, alone or in a batch.
func (p *FaultProxy) DenyDelete(key, code, message string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.denied[key] = denial{key, code, message}
}

// ShortenSessions makes the token service's sessions appear to last no longer than the given time.
func (p *FaultProxy) ShortenSessions(to time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sessions = to
}

// ShiftClock makes the store's clock appear to be ahead by that much, or behind if it is negative.
func (p *FaultProxy) ShiftClock(ahead time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.clock = ahead
}

// shift rewrites the time in a response.
func (p *FaultProxy) shift(resp *http.Response) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if date, err := http.ParseTime(resp.Header.Get("Date")); err == nil && p.clock != 0 {
		resp.Header.Set("Date", date.Add(p.clock).UTC().Format(http.TimeFormat))
	}
}

// inject breaks a call.
func (p *FaultProxy) inject(w http.ResponseWriter, r *http.Request, fault Fault) {
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
		p.proxy.ServeHTTP(w, r)
		return
	case Cut, Stall:
		_, _ = io.CopyN(io.Discard, r.Body, r.ContentLength/2) // broken in any case
	case LoseResponse, StallResponse:
		p.proxy.ServeHTTP(httptest.NewRecorder(), r)
	case CutBody, StallBody, DamageBody:
		response := httptest.NewRecorder()
		p.proxy.ServeHTTP(response, r)
		maps.Copy(w.Header(), response.Header())
		w.WriteHeader(response.Code)
		body := response.Body.Bytes()
		if fault.Way == DamageBody {
			body[len(body)/2] ^= 1
			_, _ = w.Write(body) // a client that is gone does not need it
			return
		}
		_, _ = w.Write(body[:len(body)/2]) // as above
		_ = http.NewResponseController(w).Flush()
	}
	if fault.Way == Stall || fault.Way == StallResponse || fault.Way == StallBody {
		p.stall(r)
	}
	panic(http.ErrAbortHandler) // closes the connection
}

// stall waits until the client gives up or the proxy is closed.
func (p *FaultProxy) stall(r *http.Request) {
	p.mu.Lock()
	stalled := p.stalled
	p.mu.Unlock()
	if stalled != nil {
		stalled(r.RemoteAddr)
	}
	select {
	case <-p.closed:
	case <-r.Context().Done():
	}
}

// Abandon leaves an unfinished upload behind, as a killed process does.
func (p *FaultProxy) Abandon(ctx context.Context, bucket, key string) error {
	out, err := p.server.client.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{Bucket: &bucket, Key: &key})
	if err != nil {
		return fmt.Errorf("begin an upload to abandon: %w", err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.uploads = append(p.uploads, upload{bucket, key, aws.ToString(out.UploadId), time.Now()})
	return nil
}

// Age makes the unfinished uploads appear older in listings.
func (p *FaultProxy) Age(by time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range p.uploads {
		p.uploads[i].initiated = p.uploads[i].initiated.Add(-by)
	}
}
