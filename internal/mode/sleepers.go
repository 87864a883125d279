package mode

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/input"
	"github.com/org/neon-tenants-action/internal/postgres"
	"github.com/org/neon-tenants-action/internal/records"
	"github.com/org/neon-tenants-action/internal/report"
	"github.com/org/neon-tenants-action/internal/words"
)

// Sleepers are the tenants that a run leaves asleep, because a record proves that there is nothing to do for them. Nil
// leaves nobody asleep.
type Sleepers struct {
	// Table is where tenants record their versions, Files the digest of the run's files, and Checks what a health check
	// looks for, as in [records.Schema]; they say what a record must be about.
	Table         postgres.Ledger
	Files, Checks string

	env      Env
	records  *Records
	activity fleet.Activity
	price    price

	chosen map[string]choice // of all tenants, by id; nil until they are chosen
}

// choice is whether a tenant is left asleep.
type choice struct {
	reason records.Reason // why it is not; empty if it is
	hours  float64        // of one compute unit that waking it costs; 0 if its compute was not suspended
}

// Sleep is what the report file says about the computes of a run that leaves tenants asleep.
type Sleep struct {
	LeftAsleep int `json:"left_asleep"`
	// Woken are those of the others whose compute was suspended when the run began.
	Woken int `json:"woken"`
	// Reasons are why tenants were connected to, with their numbers.
	Reasons map[records.Reason]int `json:"reasons,omitempty"`
	// HoursSaved and HoursWoken are in hours of one compute unit. Each compute that is woken runs for its suspend delay at
	// least.
	HoursSaved float64 `json:"compute_hours_saved"`
	HoursWoken float64 `json:"compute_hours_woken"`
	// Price is that of such an hour, as it was given; empty if it was not.
	Price string `json:"compute_price,omitempty"`
}

// ReadSleepers reads the inputs about sleeping tenants; nil unless they are to be left asleep. Where records are read
// from says r.
func ReadSleepers(in *input.Reader, env Env, r *Records) *Sleepers {
	price := input.Parse(in, "compute-price", parsePrice)
	if !in.Bool("leave-asleep") {
		return nil
	}
	s := &Sleepers{env: env, records: r, price: price}
	s.activity, _ = Able[fleet.Activity](in, env, "leave-asleep",
		"this source does not know when a tenant was last in use; leave it out")
	if !r.Given() {
		in.Mistake("leave-asleep", "needs the records of earlier runs; give catalog-url, or previous-report with the report "+
			"file of the run before, kept in a cache or an artifact")
	}
	return s
}

// Choose decides who is left asleep. The records have been loaded.
func (s *Sleepers) Choose(ctx context.Context, found Found) error {
	if s == nil {
		return nil
	}
	computes, err := s.activity.Computes(ctx)
	if err != nil {
		if ctx.Err() != nil {
			return errors.Join(context.Cause(ctx), err)
		}
		return fmt.Errorf("leave-asleep: find out when the tenants were last in use: %w", err)
	}
	s.chosen = make(map[string]choice, len(found.Tenants))
	for _, t := range found.Tenants {
		record, _ := s.records.Book().Of(t.ID)
		present := records.Present{
			Place: s.env.PlaceOf(ctx, t, s.Table), Files: s.Files, Checks: s.Checks,
			Now: computes.At, Ahead: computes.Ahead, AheadKnown: computes.AheadKnown,
		}
		present.Compute, present.Known = computes.Of(t)
		c := choice{reason: records.Wake(record, present)}
		if present.Compute.Asleep(present.Now) {
			c.hours = present.Compute.SuspendAfter.Hours() * present.Compute.MinUnits
		}
		s.chosen[t.ID] = c
	}
	return nil
}

// Left returns the record of a tenant that is left asleep; ok is false for one that is not.
func (s *Sleepers) Left(t fleet.Tenant) (r records.Record, ok bool) {
	if !s.leaves(t) {
		return r, false
	}
	return s.records.Book().Of(t.ID)
}

// leaves reports whether a tenant is left asleep.
func (s *Sleepers) leaves(t fleet.Tenant) bool {
	if s == nil {
		return false
	}
	c, ok := s.chosen[t.ID]
	return ok && c.reason == ""
}

// Awake returns the tenants that are not left asleep, in their order.
func (s *Sleepers) Awake(tenants []fleet.Tenant) []fleet.Tenant {
	return slices.DeleteFunc(slices.Clone(tenants), s.leaves)
}

// Outcome is that of a tenant that is left asleep.
func (s *Sleepers) Outcome(detail any) fleet.Outcome {
	return fleet.Outcome{Unchanged: true, Quiet: true, Note: "left asleep", Detail: detail}
}

// Report says what became of the computes of the tenants that the run reached: a run that was stopped, or that ends
// with an early wave, has not reached all. It is nil if the run leaves nobody asleep by its inputs.
func (s *Sleepers) Report(results []fleet.Result, reached func(fleet.Result) bool) (*Sleep, report.Section) {
	if s == nil || s.chosen == nil {
		return nil, report.Section{}
	}
	sleep := &Sleep{Reasons: map[records.Reason]int{}, Price: s.price.text}
	for _, r := range results {
		if reached(r) {
			sleep.add(s.chosen[r.Tenant.ID])
		}
	}
	return sleep, report.Section{Title: sleepTitle, Lines: sleep.lines(s.price)}
}

// add counts one tenant.
func (s *Sleep) add(c choice) {
	if c.reason == "" {
		s.LeftAsleep++
		s.HoursSaved += c.hours
		return
	}
	s.Reasons[c.reason]++
	if c.hours > 0 {
		s.Woken++
		s.HoursWoken += c.hours
	}
}

// lines are the section's.
func (s Sleep) lines(p price) []string {
	left := fmt.Sprintf("left asleep: %s, current by their record and not used since", words.Count(s.LeftAsleep, "tenant",
		"tenants"))
	if s.HoursSaved > 0 {
		left += "; waking them would have cost at least " + p.cost(s.HoursSaved)
	}
	lines := []string{left}
	if len(s.Reasons) == 0 {
		return lines
	}
	connected := 0
	var why []string
	for _, reason := range slices.SortedFunc(maps.Keys(s.Reasons), s.mostFirst) {
		connected += s.Reasons[reason]
		why = append(why, fmt.Sprintf("%d %s", s.Reasons[reason], reason))
	}
	lines = append(lines, fmt.Sprintf("connected to: %s, %s", words.Count(connected, "tenant", "tenants"),
		strings.Join(why, ", ")))
	if s.Woken > 0 {
		lines = append(lines, fmt.Sprintf("woken for that: %s, for at least %s", words.Count(s.Woken, "compute", "computes"),
			p.cost(s.HoursWoken)))
	}
	return lines
}

func (s Sleep) mostFirst(a, b records.Reason) int {
	return cmp.Or(s.Reasons[b]-s.Reasons[a], cmp.Compare(a, b))
}
