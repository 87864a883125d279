package records_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/records"
)

var visit = time.Date(2026, 3, 14, 9, 0, 0, 0, time.UTC)

// asleep is a tenant that may be left asleep: used last by the record's own visit.
func asleep() (records.Record, records.Present) {
	r := records.Record{Place: "here", CurrentAt: visit, Files: "files", Schema: &records.Schema{Checks: "checks"}}
	return r, records.Present{
		Place: "here", Files: "files", Checks: "checks", Known: true, Now: visit.Add(24 * time.Hour),
		AheadKnown: true,
		Compute:    fleet.Compute{LastActive: visit.Add(5 * time.Minute), ChangedAt: visit, SuspendAfter: 5 * time.Minute},
	}
}

func TestWake(t *testing.T) {
	if got := records.Wake(asleep()); got != "" {
		t.Fatalf("the tenant is connected to, because %s", got)
	}
	for name, c := range map[string]struct {
		change func(*records.Record, *records.Present)
		want   records.Reason
	}{
		"no record": {func(r *records.Record, _ *records.Present) { *r = records.Record{} }, records.NoRecord},
		"it failed": {func(r *records.Record, _ *records.Present) { r.CurrentAt = time.Time{} },
			records.NoRecord},
		"another database":       {func(_ *records.Record, p *records.Present) { p.Place = "there" }, records.OtherPlace},
		"another file":           {func(_ *records.Record, p *records.Present) { p.Files = "more" }, records.OtherFiles},
		"other checks":           {func(_ *records.Record, p *records.Present) { p.Checks = "more" }, records.NotChecked},
		"no schema":              {func(r *records.Record, _ *records.Present) { r.Schema = nil }, records.NotChecked},
		"no schema, none needed": {func(r *records.Record, p *records.Present) { r.Schema, p.Checks = nil, "" }, ""},
		"not listed":             {func(_ *records.Record, p *records.Present) { p.Known = false }, records.Unknown},
		"no activity known": {func(_ *records.Record, p *records.Present) { p.Compute.LastActive = time.Time{} },
			records.Unknown},
		"in use within the suspend delay and a minute": {func(_ *records.Record, p *records.Present) {
			p.Compute.LastActive = visit.Add(6 * time.Minute)
		}, ""},
		"in use a second later": {func(_ *records.Record, p *records.Present) {
			p.Compute.LastActive = visit.Add(6*time.Minute + time.Second)
		}, records.InUse},
		"a shorter delay": {func(_ *records.Record, p *records.Present) { p.Compute.SuspendAfter = time.Minute },
			records.InUse},
		"not in use since long before": {func(_ *records.Record, p *records.Present) {
			p.Compute.LastActive = visit.Add(-time.Hour)
		}, ""},
		"never suspended": {func(_ *records.Record, p *records.Present) { p.Compute.SuspendAfter = -1 },
			records.NeverSleeps},
		"changed": {func(_ *records.Record, p *records.Present) { p.Compute.ChangedAt = visit.Add(time.Hour) },
			records.Changed},
		"no change known": {func(_ *records.Record, p *records.Present) { p.Compute.ChangedAt = time.Time{} }, ""},
		"a record from the future": {func(_ *records.Record, p *records.Present) { p.Now = visit.Add(-2 * time.Minute) },
			records.FutureRecord},
		"Neon's clock is wrong": {func(_ *records.Record, p *records.Present) { p.Ahead = -31 * time.Second },
			records.ClocksDiffer},
		"Neon tells no time": {func(_ *records.Record, p *records.Present) { p.AheadKnown = false },
			records.ClockUnknown},
	} {
		t.Run(name, func(t *testing.T) {
			r, p := asleep()
			c.change(&r, &p)
			if got := records.Wake(r, p); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

// history is one tenant's, in a world in which Neon tells the truth. Times are true ones; the clocks of its servers and
// of runners differ from that.
type history struct {
	rand    *rand.Rand
	log     []string
	now     time.Time
	suspend time.Duration
	// tail: Neon counts the time until a compute is suspended as activity.
	tail bool

	place, files  string    // of the runs
	state         int       // changes whenever the database does
	used, touched time.Time // by anybody; by changes that wake no compute

	book      records.Book
	recorded  int    // the state that the newest record is about
	current   string // the files at which it was current then
	visitedAt time.Time
}

func (h *history) note(format string, args ...any) {
	h.log = append(h.log, h.now.Format(time.DateTime)+" "+fmt.Sprintf(format, args...))
}

// skew is a clock's difference from the true time: mostly small, sometimes absurd.
func (h *history) skew() time.Duration {
	if h.rand.IntN(10) == 0 {
		return time.Duration(h.rand.Int64N(int64(48*time.Hour))) - 24*time.Hour
	}
	return time.Duration(h.rand.Int64N(int64(20*time.Second))) - 10*time.Second
}

// quietUntil is when a use can be told from the newest visit.
func (h *history) quietUntil() time.Time { return h.visitedAt.Add(h.suspend + 3*time.Minute) }

// run is one run of the action: it leaves the tenant asleep, or visits it and leaves a record, or is killed after it.
func (h *history) run(t *testing.T) {
	runner, server, neon := h.skew(), h.skew(), h.skew()
	active := h.used
	if h.tail && !active.IsZero() {
		active = minTime(active.Add(h.suspend), h.now)
	}
	present := records.Present{Place: h.place, Files: h.files, Now: h.now.Add(runner), Ahead: neon - runner,
		AheadKnown: true}
	if present.Known = h.rand.IntN(20) > 0; present.Known {
		present.Compute.SuspendAfter = h.suspend
		if !active.IsZero() && h.rand.IntN(20) > 0 {
			present.Compute.LastActive = active.Add(neon)
		}
		if !h.touched.IsZero() {
			present.Compute.ChangedAt = h.touched.Add(neon)
		}
	}
	record, _ := h.book.Of("tenant")
	if records.Wake(record, present) == "" {
		if h.state != h.recorded || h.files != h.current {
			for _, line := range h.log {
				t.Log(line)
			}
			t.Fatalf("%s: left asleep, although it differs", h.now.Format(time.DateTime))
		}
		h.note("left asleep")
		return
	}
	h.used, h.visitedAt = h.now, h.now
	if record.Files != h.files || record.Place != h.place { // new files are applied
		h.state++
	}
	if h.rand.IntN(10) == 0 {
		h.note("visited, and killed before it was recorded")
		return
	}
	made := records.Record{Place: h.place, Files: h.files}
	made.CurrentAt = records.SeenAt(h.now.Add(server), h.now.Add(runner))
	h.book.Note("tenant", made, h.now.Add(runner))
	if kept, _ := h.book.Of("tenant"); kept.CurrentAt.Equal(made.CurrentAt) && kept.Known() {
		h.recorded, h.current = h.state, h.files
	}
	h.note("visited, by its clock at %s, by the runner's %s", h.now.Add(server).Format(time.DateTime),
		h.now.Add(runner).Format(time.DateTime))
}

// step lets something happen.
func (h *history) step(t *testing.T) {
	h.now = h.now.Add(time.Duration(h.rand.Int64N(int64(3 * time.Hour))))
	if h.rand.IntN(2) == 0 {
		h.now = h.now.Add(time.Duration(h.rand.Int64N(int64(72 * time.Hour))))
	}
	switch n := h.rand.IntN(12); {
	case n < 5:
		h.run(t)
	case h.now.Before(h.quietUntil()):
		return // it cannot be told from the visit: see Wake
	case n < 8:
		h.used = h.now
		if h.rand.IntN(2) == 0 {
			h.state++
		}
		h.note("used, state %d", h.state)
	case n == 8:
		h.state, h.touched = h.state+1, h.now
		h.note("restored, or another branch made the default, while it slept")
	case n == 9:
		h.touched = h.now
		h.note("renamed")
	case n == 10:
		h.files = fmt.Sprintf("files %d", h.rand.IntN(3))
		h.note("%s", h.files)
	default:
		h.book = records.Book{}
		h.note("records lost")
	}
}

func minTime(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// Whatever happens to a tenant and its records, one that could differ from its record is never left asleep.
func TestNoTenantThatCouldDifferIsLeftAsleep(t *testing.T) {
	left := 0
	for seed := range uint64(3000) {
		h := &history{rand: rand.New(rand.NewPCG(seed, 0)), now: visit, place: "here", files: "files 0", recorded: -1}
		h.suspend = []time.Duration{time.Minute, 5 * time.Minute, time.Hour, -time.Second}[h.rand.IntN(4)]
		h.tail = h.rand.IntN(2) == 0
		for range 60 {
			h.step(t)
		}
		for _, line := range h.log {
			if line[len("2006-01-02 15:04:05 "):] == "left asleep" {
				left++
			}
		}
	}
	if left < 3000 {
		t.Errorf("only %d times a tenant was left asleep: the histories test too little", left)
	}
}
