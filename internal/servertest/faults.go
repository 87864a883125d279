package servertest

import (
	"regexp"
	"slices"
	"strings"
	"sync"
)

// Trigger says which of the calls that match a fault it strikes.
type Trigger struct {
	After int // how many are let through first
	Times int // how many are struck then; 0: all
}

// Faults holds the faults, of a server's own type, that wait for calls to strike. The zero value holds none.
type Faults[F any] struct {
	mu    sync.Mutex
	armed []*armed[F]
}

type armed[F any] struct {
	fault F
	Trigger
}

// Add adds a fault.
func (f *Faults[F]) Add(fault F, trigger Trigger) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.armed = append(f.armed, &armed[F]{fault, trigger})
}

// Clear removes all faults.
func (f *Faults[F]) Clear() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.armed = nil
}

// Strike returns the fault that strikes a call, and counts it: the oldest one that matches the call and is due. Older
// ones that match but are not due yet count the call as let through.
func (f *Faults[F]) Strike(matches func(F) bool) (fault F, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i, w := range f.armed {
		switch {
		case !matches(w.fault):
			continue
		case w.After > 0:
			w.After--
			continue
		case w.Times == 1:
			f.armed = slices.Delete(f.armed, i, i+1)
		case w.Times > 1:
			w.Times--
		}
		return w.fault, true
	}
	return fault, false
}

// MatchRoute reports whether a pattern, in which * stands for anything, matches one of a call's names. An empty
// pattern matches every call.
func MatchRoute(pattern string, names ...string) bool {
	if pattern == "" {
		return true
	}
	match := regexp.MustCompile("^" + strings.ReplaceAll(regexp.QuoteMeta(pattern), `\*`, ".*") + "$").MatchString
	return slices.ContainsFunc(names, match)
}
