package fleet

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Plan is what a run does: one job on each tenant, in order. The first wave has the first tenants, and so on; tenants
// beyond the last wave are skipped.
type Plan struct {
	Tenants []Tenant
	Waves   Waves
	// Pause is the time from the end of one wave to the start of the next.
	Pause time.Duration
	Job   Job
}

// Options say how a plan is run. The zero value works on one tenant at a time, without any limit.
type Options struct {
	// Concurrency is how many tenants are worked on at once.
	Concurrency int
	// MaxFailures is how many tenants may fail before no further tenant is started.
	MaxFailures Limit
	// TenantTimeout bounds the time of one tenant; zero is no bound.
	TenantTimeout time.Duration
	// Grace is how long jobs may go on once the run's context has ended before they are abandoned. Zero is 5 s, which
	// leaves 2 s for the report: GitHub's runner sends SIGTERM 7.5 s after SIGINT.
	Grace time.Duration
	// Observer receives the start and the end of every tenant, and the end of every wave; nil discards them.
	Observer Observer
}

// Observer watches a run. Its methods are called concurrently, and a slow one delays the worker that calls it.
type Observer interface {
	// Started is called when a worker takes up a tenant.
	Started(t Tenant)
	// Finished is called once for every tenant, including the skipped ones.
	Finished(r Result)
	// WaveEnded is called at the end of every wave that was reached, after its tenants have finished.
	WaveEnded(w WaveEnd)
}

// Canary selects the tenants that go first: a number of them, or those that match globs. The zero value asks for none.
type Canary struct {
	asked bool
	count int // 0: the selection says which
	Selection
}

// ResolveCanary decides what the value of the input canary means: a count, unless a tenant has that very name, or what
// [Resolve] makes of it. An empty value asks for no canary. Its errors say what to write instead.
func ResolveCanary(text string, tenants []Tenant) (Canary, error) {
	text = strings.TrimSpace(text)
	if text == "" {
		return Canary{}, nil
	}
	isTenant := slices.ContainsFunc(tenants, func(t Tenant) bool { return t.Name == text || t.ID == text })
	n, err := strconv.Atoi(text)
	switch {
	case err != nil || isTenant:
		selection, err := Resolve(text, tenants)
		if n > 0 && err == nil {
			selection.Doubts = append(selection.Doubts, fmt.Sprintf("%q is the name or the id of a tenant, "+
				"and so means that one; for a count, write 0%s", text, strings.TrimPrefix(text, "+")))
		}
		return Canary{asked: true, Selection: selection}, err
	case n < 1:
		return Canary{}, fmt.Errorf("%q is not a count of 1 or more; write a count, or globs of tenant names", text)
	}
	return Canary{asked: true, count: n}, nil
}

// Asked reports whether there are to be canaries.
func (c Canary) Asked() bool { return c.asked }

// Order returns the tenants with the canaries first, both groups in their original order, and the number of canaries.
func (c Canary) Order(tenants []Tenant) (ordered []Tenant, canaries int) {
	if !c.asked || c.count > 0 {
		return tenants, min(c.count, len(tenants))
	}
	var others []Tenant
	for _, t := range tenants {
		if c.Matches(t) {
			ordered = append(ordered, t)
		} else {
			others = append(others, t)
		}
	}
	return append(ordered, others...), len(ordered)
}

// Limit bounds failures by a count or by a percentage of the planned tenants. The zero value is no bound.
type Limit struct {
	set bool
	share
}

// ParseLimit reads a count ("5") or a percentage ("10%"). Its error says what to write instead.
func ParseLimit(text string) (Limit, error) {
	s, ok := parseShare(text)
	if !ok {
		return Limit{}, fmt.Errorf("%q is neither a count of 0 or more nor a percentage from 0%% to 100%%; "+
			"write for example 5 or 10%%", text)
	}
	return Limit{set: true, share: s}, nil
}

// String writes the limit as [ParseLimit] reads it, and no bound as "".
func (l Limit) String() string {
	if !l.set {
		return ""
	}
	return l.share.String()
}

// exceeded reports whether this many failures among total tenants are more than the limit.
func (l Limit) exceeded(failures, total int) bool {
	switch {
	case !l.set:
		return false
	case l.relative:
		return float64(failures)*100 > l.percent*float64(total)
	}
	return failures > l.count
}

// share is a number of tenants: a count, or a percentage of some total.
type share struct {
	relative bool
	count    int     // unless relative
	percent  float64 // if relative
}

// parseShare reads a count of 0 or more or a percentage from 0% to 100%.
func parseShare(text string) (s share, ok bool) {
	if percent, relative := strings.CutSuffix(text, "%"); relative {
		p, err := strconv.ParseFloat(strings.TrimSpace(percent), 64)
		return share{relative: true, percent: p}, err == nil && p >= 0 && p <= 100 // which NaN is not
	}
	n, err := strconv.Atoi(text)
	return share{count: n}, err == nil && n >= 0
}

// String writes the share as [parseShare] reads it.
func (s share) String() string {
	if s.relative {
		return strconv.FormatFloat(s.percent, 'f', -1, 64) + "%"
	}
	return strconv.Itoa(s.count)
}
