package githubtest

import (
	"fmt"
	"net/http"
	"time"

	"github.com/org/neon-tenants-action/internal/servertest"
)

// Fault is something that goes wrong between a client and the API. A call that it strikes does not reach the API,
// unless the fault only delays it or loses the answer.
type Fault struct {
	// Route is what to strike: a route as in [Calls], or a pattern for one or for a call's actual path, in which *
	// stands for anything ("PUT *", "* /orgs/acme/*"). Empty: every call.
	Route string
	// Status is what to answer with. 0: the call goes on to the API after Delay.
	Status int
	// Secondary answers as if a secondary limit were exceeded, with RetryAfter. Status 0 is then 403.
	Secondary bool
	// Primary answers as if a primary limit were exceeded that resets after this time. Status 0 is then 403.
	Primary time.Duration
	// RetryAfter is the header's value: seconds or an HTTP date. Empty: no header.
	RetryAfter string
	// Message replaces the usual one for the status.
	Message string
	// Errors are what the answer says beside Message: texts, or maps with resource, field and code.
	Errors []any
	// Header is added to the answer's.
	Header map[string]string
	// Delay comes before anything else.
	Delay time.Duration
	// Lose lets the API do its work, and loses the answer.
	Lose bool
	// Do is called first, for example to replace a key in the middle of a run.
	Do func()
	// Times is how many calls are struck. 0: all, until ClearFaults.
	Times int
	// After is how many matching calls are let through first.
	After int
}

// Fail adds a fault. If several match a call, the oldest one strikes.
func (s *Server) Fail(f Fault) { s.faults.Add(f, servertest.Trigger{After: f.After, Times: f.Times}) }

// ClearFaults removes all faults.
func (s *Server) ClearFaults() { s.faults.Clear() }

// strike carries out the fault that strikes a call, if any. ended reports whether the call ends here, lose whether its
// answer is to be lost.
func (s *Server) strike(w http.ResponseWriter, r *http.Request, route string) (lose, ended bool) {
	fault, struck := s.faults.Strike(func(f Fault) bool {
		return servertest.MatchRoute(f.Route, route, r.Method+" "+r.URL.EscapedPath())
	})
	if !struck {
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
	for name, value := range fault.Header {
		w.Header().Set(name, value)
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
		fmt.Fprint(w, unicornPage)
	case fault.Message == "":
		refuse(status, "%s", http.StatusText(status)).send(w)
	default:
		answer(w, status, map[string]any{
			"message": fault.Message, "errors": fault.Errors, "documentation_url": "https://docs.github.com/rest",
		})
	}
	return false, true
}

const unicornPage = "<!DOCTYPE html>\n<html><head><title>Unicorn! · GitHub</title></head>" +
	"<body><p>This page is taking too long to load.</p></body></html>\n"
