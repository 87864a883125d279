package records

import "time"

// Book is the records that a run starts from. The zero value has none.
type Book struct {
	tenants  map[string]entry      // by the tenant's id
	replaced map[string][]replaced // by the tenant's id
	sets     Sets
	digests  map[string]string
}

type entry struct {
	record Record
	noted  time.Time
}

// replaced is a branch of a tenant's project that was made, reset or deleted at a time.
type replaced struct {
	branch string
	at     time.Time
}

// Note adds a tenant's record from a run that began at a time, by its runner's clock. Of several the one of the latest
// run counts; if two runs began together and differ, neither says anything about the present.
func (b *Book) Note(id string, r Record, noted time.Time) {
	if b.tenants == nil {
		b.tenants = map[string]entry{}
	}
	old, known := b.tenants[id]
	switch {
	case known && old.noted.After(noted):
		return
	case known && old.noted.Equal(noted) && !same(old.record, r):
		r.CurrentAt = time.Time{}
	}
	r.Files, r.Applied = b.once(r.Files), b.once(r.Applied)
	b.tenants[id] = entry{r, noted}
}

// once returns a digest as the book has it: most of a fleet's records have the same few.
func (b *Book) once(digest string) string {
	if b.digests == nil {
		b.digests = map[string]string{}
	}
	if known, ok := b.digests[digest]; ok {
		return known
	}
	b.digests[digest] = digest
	return digest
}

// Replaced notes that a branch of a tenant's project was made, reset or deleted at a time. An earlier record of it says
// nothing about the present.
func (b *Book) Replaced(id, branch string, at time.Time) {
	if b.replaced == nil {
		b.replaced = map[string][]replaced{}
	}
	b.replaced[id] = append(b.replaced[id], replaced{branch, at})
}

// same reports whether two records say the same about the present.
func same(a, b Record) bool {
	return a.Place == b.Place && a.Files == b.Files && a.CurrentAt.Equal(b.CurrentAt)
}

// NoteSets adds sets of files to which records refer.
func (b *Book) NoteSets(sets Sets) {
	if b.sets == nil {
		b.sets = Sets{}
	}
	for key, set := range sets {
		if set.Digest() == key { // otherwise somebody has edited it
			b.sets[key] = set
		}
	}
}

// Of returns a tenant's record; ok is false if there is none.
func (b *Book) Of(id string) (r Record, ok bool) {
	e, ok := b.tenants[id]
	for _, r := range b.replaced[id] {
		if !r.at.Before(e.noted) && OnBranch(e.record.Place, r.branch) {
			return Record{Place: e.record.Place}, ok
		}
	}
	return e.record, ok
}

// Set returns the set with a digest, nil if the book has none.
func (b *Book) Set(digest string) Set { return b.sets[digest] }
