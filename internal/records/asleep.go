package records

import (
	"strings"
	"time"

	"github.com/org/neon-tenants-action/internal/fleet"
)

// MaxSkew is by how much two clocks may differ. A tenant's server and Neon are each compared with the runner's, when a
// record is made and when it is relied on: two clocks that agree are taken to be right.
const MaxSkew = 30 * time.Second

// slack is by how much a tenant's server and Neon may differ then, which is also more than what Neon's times mean to
// the second.
const slack = 2 * MaxSkew

// Reason is why a tenant is connected to although sleeping ones are to be left asleep. Its text follows a number of
// tenants.
type Reason string

// The reasons.
const (
	NoRecord     Reason = "without a record"
	OtherFiles   Reason = "with a record for other migration files"
	OtherPlace   Reason = "with a record of another database"
	NotChecked   Reason = "with a record of other checks"
	Unknown      Reason = "of which Neon does not say when they were used"
	InUse        Reason = "used since their record"
	Changed      Reason = "changed in Neon since their record"
	NeverSleeps  Reason = "whose compute is never suspended"
	FutureRecord Reason = "with a record from the future"
	ClocksDiffer Reason = "because Neon's clock and the runner's differ"
	ClockUnknown Reason = "because Neon does not tell its time"
)

// Present is what a run knows of a tenant without asking it.
type Present struct {
	Place string // see [PlaceOf]
	Files string // the [Set.Digest] of the run's files
	// Checks is the [Schema].Checks of a health check; empty if the run is none.
	Checks string
	// Compute is what Neon says of the tenant's compute; Known is false if it says nothing.
	Compute fleet.Compute
	Known   bool
	// Now is when Neon said it, by the runner's clock, and Ahead by how much Neon's is ahead of that, if AheadKnown.
	Now        time.Time
	Ahead      time.Duration
	AheadKnown bool
}

// Wake decides whether a tenant has to be connected to, and why; it returns "" for one that may be left asleep: its
// record says that it was current at a time, in this very database and with these very files, and Neon says that nobody
// has used or changed it since. The record's own visit kept the compute up until it was suspended, and Neon may count
// all of that as activity: what somebody else does in these minutes cannot be told from the visit.
func Wake(r Record, p Present) Reason {
	c := p.Compute
	until := r.CurrentAt.Add(c.SuspendAfter + slack) // of what may have been the visit itself
	switch {
	case !r.Known():
		return NoRecord
	case r.Place != p.Place:
		return OtherPlace
	case r.Files != p.Files:
		return OtherFiles
	case p.Checks != "" && (r.Schema == nil || r.Schema.Checks != p.Checks):
		return NotChecked
	case !p.Known || c.LastActive.IsZero():
		return Unknown
	case !p.AheadKnown:
		return ClockUnknown
	case p.Ahead.Abs() > MaxSkew:
		return ClocksDiffer
	case c.SuspendAfter < 0:
		return NeverSleeps
	case r.CurrentAt.After(p.Now.Add(slack)):
		return FutureRecord
	case c.LastActive.After(until):
		return InUse
	case c.ChangedAt.After(until):
		return Changed
	}
	return ""
}

// PlaceOf names a tenant's database as far as it is known without asking anybody: where it lives, and the table in
// which it records its versions.
func PlaceOf(p fleet.Place, table string) string {
	if p.NeonProjectID == "" {
		return "server " + p.Server + " " + p.Database + " " + table
	}
	branch := p.NeonBranch
	if branch == "" {
		branch = "(default)"
	}
	return "neon " + p.NeonProjectID + " " + branch + " " + p.Database + " " + p.Role + " " + table
}

// OnBranch reports whether a place is on a Neon branch of that name, or may be: a name may hold blanks.
func OnBranch(place, branch string) bool {
	_, rest, _ := strings.Cut(strings.TrimPrefix(place, "neon "), " ")
	return strings.HasPrefix(place, "neon ") && strings.HasPrefix(rest, branch+" ")
}

// SeenAt is the [Record].CurrentAt of a visit, at a time by the clock of the tenant's server and by the runner's: zero
// if these differ too much to rely on either.
func SeenAt(server, runner time.Time) time.Time {
	if server.Sub(runner).Abs() > MaxSkew {
		return time.Time{}
	}
	return server.Truncate(time.Millisecond)
}
