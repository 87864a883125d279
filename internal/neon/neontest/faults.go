package neontest

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/org/neon-tenants-action/internal/servertest"
)

// Fault is something that goes wrong between a client and the API. A call that it strikes does not reach the API,
// unless the fault only delays it or loses its answer.
type Fault struct {
	// Route is what to strike: a route as in [Calls], or a pattern for one or for a call's actual path, in which *
	// stands for anything ("GET *", "* /projects/quiet-river-12345678/branches*"). Empty: every call.
	Route string
	// Project restricts the fault to calls about one project.
	Project string
	// Status is what to answer with: 524 with an HTML page, as Cloudflare does, everything else as Neon does. 0: the
	// call goes on to the API after Delay.
	Status int
	// Message replaces the usual one for the status.
	Message string
	// RetryAfter is the header's value: seconds or an HTTP date. Empty: no header.
	RetryAfter string
	// Delay comes before anything else.
	Delay time.Duration
	// Drop closes the connection without an answer.
	Drop bool
	// Lose lets the API do its work, and closes the connection without an answer.
	Lose bool
	// Times is how many calls are struck. 0: all, until ClearFaults.
	Times int
	// After is how many calls are let through first.
	After int
}

// Fail adds a fault. If several match a call, the oldest one strikes.
func (s *Server) Fail(f Fault) { s.faults.Add(f, servertest.Trigger{After: f.After, Times: f.Times}) }

// ClearFaults removes all faults.
func (s *Server) ClearFaults() { s.faults.Clear() }

// Unavailable makes lists leave these projects out and name them in unavailable_project_ids instead, as many times as
// they would have been listed. times 0 means always.
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

// isUnavailable reports whether a list leaves a project out this time, and counts it. Called with the lock held.
func (s *Server) isUnavailable(id string) bool {
	times := s.unavailable[id]
	if times > 0 {
		s.unavailable[id]--
	}
	return times != 0
}

func (f *Fault) matches(r *http.Request, route string) bool {
	if f.Project != "" && f.Project != r.PathValue("project_id") {
		return false
	}
	return servertest.MatchRoute(f.Route, route, r.Method+" "+r.URL.Path[len(BasePath):])
}

// strike carries out the fault that strikes a call, if any. ended reports whether the call ends here, lose whether its
// answer is to be lost.
func (s *Server) strike(w http.ResponseWriter, r *http.Request, route string) (lose, ended bool) {
	fault, struck := s.faults.Strike(func(f Fault) bool { return f.matches(r, route) })
	if !struck {
		return false, false
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
		return fault.Lose, false
	}
	setRetryAfter(w.Header(), fault.RetryAfter)
	if fault.Status == 524 {
		w.Header().Set("Content-Type", "text/html; charset=UTF-8")
		w.WriteHeader(fault.Status)
		fmt.Fprint(w, timeoutPage)
		return false, true
	}
	message := cmp.Or(fault.Message, usualMessages[fault.Status], http.StatusText(fault.Status))
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(fault.Status)
	_ = json.NewEncoder(w).Encode(map[string]string{"request_id": newUUID(), "code": "", "message": message})
	return false, true
}

const timeoutPage = "<!DOCTYPE html>\n<html><head><title>console.neon.tech | 524: A timeout occurred</title></head>" +
	"<body><h1>A timeout occurred</h1><p>Error code 524</p></body></html>\n"

var usualMessages = map[int]string{
	http.StatusLocked:              lockedMessage,
	http.StatusTooManyRequests:     limitedMessage,
	http.StatusServiceUnavailable:  "service is temporarily unavailable, please try again later",
	http.StatusInternalServerError: "internal error",
}

const limitedMessage = "you have reached the rate limit, please try again later"
