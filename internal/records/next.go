package records

import "time"

// Seen is what a run saw of one tenant and did to it.
type Seen struct {
	Place string // see [PlaceOf]
	// At is when, by the clock of the tenant's server; zero: the run did not get to see which versions it records.
	At time.Time
	// Clock is when that was by the runner's clock.
	Clock   time.Time
	Version string // the highest recorded one, empty if there is none
	Failed  bool
	// Versions, after the run: of the files that it applied or recorded itself, of the files that are not applied, and
	// of what is recorded and has no file.
	Ran, Pending, Unknown []string
	// Edited are the files whose contents are no longer those that the database itself records, with the digests of
	// these. Nil: it records none.
	Edited Set
}

// Next returns a tenant's record after a run, and the files as they were applied to it, to which the record refers; nil
// if that is not known. old is the record that the run started from and applied its files, zero and nil if there is
// none. A failure forgets nothing of how files were applied.
func Next(old Record, applied, files Set, s Seen) (Record, Set) {
	if old.Place != s.Place {
		applied = nil // it is about another database
	}
	r := Record{Place: s.Place}
	if !s.At.IsZero() {
		if s.Edited != nil {
			applied = s.Edited // whatever runs have recorded
		}
		applied = asApplied(applied, files, s)
	}
	if applied != nil {
		r.Applied = applied.Digest()
	}
	if !s.At.IsZero() && !s.Failed {
		r.CurrentAt, r.Files, r.Version = SeenAt(s.At, s.Clock), files.Digest(), s.Version
	}
	return r, applied
}

// asApplied are the versions that a tenant records, with the contents that their files had when they were applied. Of a
// file of which no run has recorded that, it is taken to be what it is now.
func asApplied(before, files Set, s Seen) Set {
	ran, pending := of(s.Ran), of(s.Pending)
	applied := make(Set, len(files))
	for version, now := range files {
		if pending[version] {
			continue
		}
		applied[version] = now
		if old, known := before[version]; known && !ran[version] {
			applied[version] = old
		}
	}
	for _, version := range s.Unknown {
		if old, known := before[version]; known {
			applied[version] = old
		}
	}
	return applied
}

func of(versions []string) map[string]bool {
	all := make(map[string]bool, len(versions))
	for _, v := range versions {
		all[v] = true
	}
	return all
}
