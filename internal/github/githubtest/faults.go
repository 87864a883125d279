package githubtest

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
)

// Fault is something going wrong between a client and the API. What it strikes never reaches the API, unless it only delays or
// loses the answer.
type Fault struct {
	// Route is what to strike: a route as in [Calls], or a pattern of one or of a call's real path, in which * stands for
	// anything ("PUT *", "* /orgs/acme/*"); "" is every call.
	Route string
	// Status answers with this status. 0: the call goes on to the API after Delay.
	Status int
	// Secondary makes the answer the one to an exceeded secondary limit, with RetryAfter; Status 0 is then 403.
	Secondary bool
	// Primary makes the answer the one to an exceeded primary limit, which ends so much later; Status 0 is then 403.
	Primary time.Duration
	// RetryAfter is the header's value: "" sends none, else seconds or an HTTP date.
	RetryAfter string
	// Message replaces the usual one for the status.
	Message string
	// Delay comes before anything else.
	Delay time.Duration
	// Lose lets the API do what it is asked for, and loses its answer.
	Lose bool
	// Do is called first, as for a key that is replaced in the middle of a run.
	Do func()
	// Times is how many calls are struck; 0: all, until ClearFaults.
	Times int
	// After is how many calls that would be struck come through before.
	After int
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

// take finds the fault for a call and counts it.
func (f *faults) take(r *http.Request, route string) *Fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i, fault := range f.active {
		if !fault.matches(r, route) {
			continue
		}
		if fault.After > 0 {
			fault.After--
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
	if f.Route == "" || f.Route == route {
		return true
	}
	pattern := regexp.MustCompile("^" + strings.ReplaceAll(regexp.QuoteMeta(f.Route), `\*`, ".*") + "$")
	return pattern.MatchString(route) || pattern.MatchString(r.Method+" "+r.URL.EscapedPath())
}

// strike does what a fault says, and reports whether the call ends here, or its answer is to be lost.
func (f *faults) strike(w http.ResponseWriter, r *http.Request, route string) (lose, ended bool) {
	fault := f.take(r, route)
	if fault == nil {
		return false, false
	}
	if fault.Do != nil {
		fault.Do()
	}
	if fault.Delay > 0 {
		timer := time.NewTimer(fault.Delay)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-r.Context().Done():
		}
	}
	if fault.RetryAfter != "" {
		w.Header().Set("Retry-After", fault.RetryAfter)
	}
	status := fault.Status
	if status == 0 && (fault.Secondary || fault.Primary > 0) {
		status = http.StatusForbidden
	}
	switch {
	case status == 0:
		return fault.Lose, false
	case fault.Secondary:
		secondaryRefusal(status).send(w)
	case fault.Primary > 0:
		setRate(w.Header(), 5000, 0, time.Now().Add(fault.Primary))
		refuse(status, "API rate limit exceeded for user ID 583231.").send(w)
	case fault.Message == "" && status >= http.StatusInternalServerError:
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.WriteHeader(status)
		fmt.Fprint(w, "<!DOCTYPE html>\n<html><head><title>Unicorn! · GitHub</title></head><body><p>This page is taking too long to load.</p></body></html>\n")
	case fault.Message == "":
		refuse(status, "%s", http.StatusText(status)).send(w)
	default:
		refuse(status, "%s", fault.Message).send(w)
	}
	return false, true
}
