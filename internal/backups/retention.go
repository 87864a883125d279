package backups

import (
	"fmt"
	"slices"
	"time"
)

// UnfinishedAge is for how long an upload, or a backup without a manifest, may be one that another run still writes.
const UnfinishedAge = 24 * time.Hour

// Policy is a retention policy. A backup is kept if any of its rules keeps it; a rule that is 0 keeps nothing.
type Policy struct {
	Days     int // keeps the backups that are at most this many times 24 hours old
	KeepLast int // keeps this many of the newest verified backups
	// Keep the newest verified backup of each of the last N days, ISO weeks and months, in UTC, that have one. If
	// there are fewer of those, the oldest backup is kept too, as restic's forget does.
	Daily, Weekly, Monthly int
}

// Decision is what to do with one backup, and why.
type Decision struct {
	Backup
	Keep    bool
	Reasons []string
}

// Plan applies a policy to the backups of one folder and returns the decisions newest first.
//
// protect, the key of the backup just written, is always kept. Only Days counts a backup that is not verified, so that
// it never takes the place of a verified one. It is deleted only if it is older than Days and a day, and there is a
// newer verified backup: its manifest may be lost, or yet to be written.
func Plan(now time.Time, backups []Backup, p Policy, protect string) []Decision {
	backups = slices.Clone(backups)
	sortNewestFirst(backups)
	decisions := make([]Decision, len(backups))
	var verified []*Decision
	for i, b := range backups {
		d := &decisions[i]
		d.Backup = b
		if b.Key == protect {
			d.keep("just written")
		}
		age := now.Sub(b.Time)
		if p.Days > 0 && age <= time.Duration(p.Days)*24*time.Hour {
			d.keep(fmt.Sprintf("within %d days", p.Days))
		}
		switch {
		case b.Verified:
			verified = append(verified, d)
		case len(verified) == 0:
			d.keep("not verified, but no newer backup is")
		case age < UnfinishedAge:
			d.keep("not verified, perhaps still being written")
		}
	}
	for _, r := range []rule{
		{p.KeepLast, "last", nil},
		{p.Daily, "daily", func(t time.Time) int { return t.Year()*10000 + int(t.Month())*100 + t.Day() }},
		{p.Weekly, "weekly", func(t time.Time) int { year, week := t.ISOWeek(); return year*100 + week }},
		{p.Monthly, "monthly", func(t time.Time) int { return t.Year()*100 + int(t.Month()) }},
	} {
		r.apply(verified)
	}
	for i := range decisions {
		d := &decisions[i]
		if d.Keep {
			continue
		}
		d.Reasons = []string{"no rule keeps it"}
		if p.Days > 0 {
			d.Reasons = []string{fmt.Sprintf("older than %d days", p.Days)}
		}
		if !d.Verified {
			d.Reasons = append(d.Reasons, "never verified")
		}
	}
	return decisions
}

func (d *Decision) keep(why string) {
	d.Keep = true
	d.Reasons = append(d.Reasons, why)
}

// rule keeps the newest backup of each of the last count periods.
type rule struct {
	count  int
	name   string
	period func(time.Time) int // nil: each backup has a period of its own
}

func (r rule) apply(newestFirst []*Decision) {
	last := -1
	for i, d := range newestFirst {
		if r.count <= 0 {
			return
		}
		period := i
		if r.period != nil {
			period = r.period(d.Time.UTC())
		}
		switch {
		case period != last:
			d.keep(r.name)
		case i == len(newestFirst)-1:
			d.keep("oldest " + r.name)
		default:
			continue
		}
		last = period
		r.count--
	}
}
