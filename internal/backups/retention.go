package backups

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/org/neon-tenants-action/internal/bucket"
)

// Backup is a stored backup, as its key and its manifest's being there tell.
type Backup struct {
	Key  string
	Time time.Time // from the key
	Size int64     // bytes
	// Verified is true where its manifest is there, which is written last, once everything was checked.
	Verified bool
}

// Find returns the backups among the objects directly in a folder, newest first. Every other object is somebody else's.
func Find(folder string, objects []bucket.Object) []Backup {
	var backups []Backup
	there := map[string]bool{}
	for _, o := range objects {
		there[o.Key] = true
	}
	for _, o := range objects {
		if k, ok := ParseKey(folder, o.Key); ok {
			backups = append(backups, Backup{Key: o.Key, Time: k.Time, Size: o.Size, Verified: there[k.Manifest()]})
		}
	}
	sortBackups(backups)
	return backups
}

func sortBackups(backups []Backup) {
	slices.SortFunc(backups, func(a, b Backup) int {
		if order := b.Time.Compare(a.Time); order != 0 {
			return order
		}
		return strings.Compare(b.Key, a.Key)
	})
}

// unfinishedAge is how long a backup without a manifest may be one that another run is still busy with.
const unfinishedAge = 24 * time.Hour

// Policy says which backups to keep: all that any of its rules keeps.
type Policy struct {
	Days     int // everything that is not older than so many times 24 hours; 0: no such rule
	KeepLast int // the newest so many verified ones
	// The newest verified one of each of the last so many days, ISO weeks and months, in UTC, that have one; and while they are
	// not all used up the oldest there is, as restic's forget counts.
	Daily, Weekly, Monthly int
}

// Decision is what becomes of one backup, and why.
type Decision struct {
	Backup
	Keep    bool
	Reasons []string
}

// Plan applies a policy to the backups of one folder, and returns the decisions newest first. It depends on nothing but its
// arguments.
//
// protect, the key of the backup just written, is always kept. A backup that is not verified counts for no rule but Days, so
// that it never takes a verified one's place; and because its manifest may merely have been lost, or be about to be
// written, it is removed only where it is past Days, begun a day ago or more, and a newer verified backup is there.
func Plan(now time.Time, backups []Backup, p Policy, protect string) []Decision {
	backups = slices.Clone(backups)
	sortBackups(backups)
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
			d.keep("not verified, but no newer one is")
		case age < unfinishedAge:
			d.keep("not verified, perhaps not yet")
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

// rule keeps the newest backup of each of its last so many periods.
type rule struct {
	count  int
	name   string
	period func(time.Time) int // nil: each backup is a period of its own
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
