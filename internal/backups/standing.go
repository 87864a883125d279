package backups

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/org/neon-tenants-action/internal/words"
)

// Owner is the tenant on whose behalf backups are looked for.
type Owner struct {
	ID     string // the tenant's
	Origin Origin // where its data is, as far as that is known
	// Args are pg_dump's arguments. A backup that leaves something out counts only if it was made with the same.
	Args []string
	// Proven is true if a backup must say where it came from, which manifests of version 1 do not.
	Proven bool
	// Written is the key of the backup that this run has made, or in a dry run would have made. It counts unread.
	Written string
}

// manifest returns what is known of the manifest of a backup that the owner has just made.
func (o Owner) manifest() Manifest {
	return Manifest{Version: manifestVersion, Origin: o.Origin, Args: o.Args, Whole: len(LeftOut(o.Args)) == 0}
}

// Standing is what a stored backup is to its owner. Only one that [Counts] is relied on for anything.
type Standing int

// A backup that counts, and the reasons why one does not. Those from Partial on are the owner's own.
const (
	Counts     Standing = iota
	Unreadable          // its manifest is damaged, another tool's, or of a later version of this program
	Foreign             // of another tenant, which had the owner's key, and so its folder, before
	Elsewhere           // of the owner's id, but from another server, database, branch or schema
	Unclear             // of the owner's id, but it does not say where it came from
	Future              // the time in its key has not come yet
	Partial             // something was left out of the dump
	Damaged             // the object is not as large as it was
	Unverified          // it has no manifest
)

// MaxSkew is by how much two clocks may differ without consequences.
const MaxSkew = 5 * time.Minute

// notYet is why a backup or a proof from the future does not count.
const notYet = "its time has not come yet, so a clock was wrong"

// Judged is a stored backup, its manifest and what it is to its owner.
type Judged struct {
	Backup
	Manifest Manifest // zero if there is none, or if it cannot be read
	Standing Standing
	owner    Owner
	problem  string // of an unreadable manifest
}

// judge decides what a backup is to its owner. m is nil if the manifest cannot be read.
func judge(b Backup, m *Manifest, o Owner, now time.Time) Judged {
	j := Judged{Backup: b, owner: o}
	if m != nil {
		j.Manifest = *m
	}
	switch {
	case !b.Verified:
		j.Standing = Unverified
	case m == nil:
		j.Standing = Unreadable
	case !m.Of(o.ID):
		j.Standing = Foreign
	case m.Origin == Origin{} && o.Proven:
		j.Standing = Unclear
	case m.Origin != Origin{} && !m.Origin.Same(o.Origin):
		j.Standing = Elsewhere
	case b.Time.After(now.Add(MaxSkew)):
		j.Standing = Future
	case b.Size != m.StoredSize:
		j.Standing = Damaged
	case !m.whole() && !m.like(o.Args):
		j.Standing = Partial
	}
	return j
}

// clarify makes backups unclear that do not say where they came from, if the folder also holds some of the same id from
// elsewhere: then nobody can tell whose they are.
func clarify(judged []Judged) {
	elsewhere := false
	for _, j := range judged {
		elsewhere = elsewhere || j.Standing == Elsewhere
	}
	for i, j := range judged {
		if elsewhere && j.Standing != Foreign && j.Verified && j.Manifest.Version != 0 && j.Manifest.Origin == (Origin{}) {
			judged[i].Standing = Unclear
		}
	}
}

// Why says why the backup does not count; empty if it does.
func (j Judged) Why() string {
	switch j.Standing {
	case Unreadable:
		return "its manifest " + cmp.Or(j.problem, "cannot be used")
	case Foreign:
		return "it is of another tenant, whose id is " + j.Manifest.Tenant.ID
	case Elsewhere:
		return fmt.Sprintf("it is of %s, and this tenant is at %s", j.Manifest.Origin, j.owner.Origin)
	case Unclear:
		return "its manifest does not say which server, database and branch it came from"
	case Future:
		return notYet
	case Partial:
		return "it is partial: pg_dump left something out, because of " + strings.Join(j.Manifest.Args, " ")
	case Damaged:
		return fmt.Sprintf("it holds %d bytes, and held %d when it was made", j.Size, j.Manifest.StoredSize)
	case Unverified:
		return "it was never verified"
	}
	return ""
}

// Passed says which backups in a folder were passed over for another reason than being unfinished; empty if none was.
func Passed(judged []Judged) string {
	const shown = 3
	var odd []Judged
	for _, j := range judged {
		if j.Standing != Counts && j.Standing != Unverified {
			odd = append(odd, j)
		}
	}
	if len(odd) == 0 {
		return ""
	}
	return words.Count(len(odd), "backup", "backups") + " passed over: " +
		words.ListFunc(odd, shown, func(j Judged) string { return fmt.Sprintf("%s (%s)", j.Key, j.Why()) })
}
