package neontest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
)

// Fault is something going wrong between a client and the API. What it strikes never reaches the API, unless it only
// delays.
type Fault struct {
	// Route is what to strike: a route as in [Calls], or a pattern of one or of a call's real path, in which *
	// stands for anything ("GET *", "* /projects/quiet-river-12345678/branches*"); "" is every call.
	Route string
	// Project restricts the fault to calls about one project.
	Project string
	// Status answers with this status: 524 as a page of HTML, as Cloudflare does, all others in Neon's shape. 0: the call
	// goes on to the API after Delay.
	Status int
	// Message replaces the usual one for the status.
	Message string
	// RetryAfter is the header's value: "" sends none, else seconds or an HTTP date.
	RetryAfter string
	// Delay comes before anything else.
	Delay time.Duration
	// Drop closes the connection without an answer.
	Drop bool
	// Times is how many calls are struck; 0: all, until ClearFaults.
	Times int
}

type faults struct {
	mu     sync.Mutex
	active []*Fault
}

// Fail adds a fault. The oldest one that fits strikes first.
func (s *Server) Fail(f Fault) {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	s.faults.active = append(s.faults.active, &f)
}

// ClearFaults removes all faults.
func (s *Server) ClearFaults() {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	s.faults.active = nil
}

// Unavailable makes listings leave these projects out and name them in unavailable_project_ids, as often as they would
// have been listed; times 0 is for ever.
func (s *Server) Unavailable(ids []string, times int) {
	if times == 0 {
		times = -1
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range ids {
		s.unavailable[id] = times
	}
}

// isUnavailable tells whether a listing misses a project this time. Called with the lock held.
func (s *Server) isUnavailable(id string) bool {
	times := s.unavailable[id]
	if times > 0 {
		s.unavailable[id]--
	}
	return times != 0
}

// take finds the fault for a call and counts it.
func (f *faults) take(r *http.Request, route string) *Fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i, fault := range f.active {
		if !fault.matches(r, route) {
			continue
		}
		struck := *fault
		if fault.Times > 0 {
			if fault.Times--; fault.Times == 0 {
				f.active = slices.Delete(f.active, i, i+1)
			}
		}
		return &struck
	}
	return nil
}

func (f *Fault) matches(r *http.Request, route string) bool {
	if f.Project != "" && f.Project != r.PathValue("project_id") {
		return false
	}
	if f.Route == "" || f.Route == route {
		return true
	}
	pattern := regexp.MustCompile("^" + strings.ReplaceAll(regexp.QuoteMeta(f.Route), `\*`, ".*") + "$")
	return pattern.MatchString(route) || pattern.MatchString(r.Method+" "+r.URL.Path[len(BasePath):])
}

// strike does what a fault says and reports whether the call ends here.
func (f *faults) strike(w http.ResponseWriter, r *http.Request, route string) bool {
	fault := f.take(r, route)
	if fault == nil {
		return false
	}
	if fault.Delay > 0 {
		select {
		case <-time.After(fault.Delay):
		case <-r.Context().Done():
		}
	}
	if fault.Drop {
		panic(http.ErrAbortHandler) // net/http's way to drop a connection without an answer or a log line
	}
	if fault.Status == 0 {
		return false
	}
	setRetryAfter(w.Header(), fault.RetryAfter)
	if fault.Status == 524 {
		w.Header().Set("Content-Type", "text/html; charset=UTF-8")
		w.WriteHeader(fault.Status)
		fmt.Fprint(w, "<!DOCTYPE html>\n<html><head><title>console.neon.tech | 524: A timeout occurred</title></head><body><h1>A timeout occurred</h1><p>Error code 524</p></body></html>\n")
		return true
	}
	message := fault.Message
	if message == "" {
		message = map[int]string{
			http.StatusLocked:              lockedMessage,
			http.StatusTooManyRequests:     "you have reached the rate limit, please try again later",
			http.StatusServiceUnavailable:  "service is temporarily unavailable, please try again later",
			http.StatusInternalServerError: "internal error",
		}[fault.Status]
	}
	if message == "" {
		message = http.StatusText(fault.Status)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(fault.Status)
	_ = json.NewEncoder(w).Encode(map[string]string{"request_id": newUUID(), "code": "", "message": message})
	return true
}
