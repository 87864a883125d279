// Package fingerprint describes a schema as the server prints it, hashes the description, and shows how two differ.
package fingerprint

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/org/neon-tenants-action/internal/postgres"
)

// Version is that of the fingerprints' form. It changes whenever equal schemas would get another hash, and hashes of
// different versions tell nothing about each other.
const Version = 2

// Options select what part of a database counts.
type Options struct {
	// Schema is the only schema that counts. Definitions do not name it, so that two schemas are equal if they were
	// made by the same statements. Empty: all schemas except the system's and those of extensions.
	Schema string
	// Table is where versions are recorded; it does not count, nor does a sequence that numbers its rows, nor a schema
	// that drizzle has made for it alone. One without a schema does not count in any schema.
	Table postgres.Ledger
	// Required are tables or views that must exist.
	Required []postgres.Table
	// Uncommon is true if other schemas like this one have objects of uncommon kinds. Looking for these at once saves a
	// round trip if there are some, and costs time if there are none.
	Uncommon bool
	// Portable is true if what counts is only what a dump carries to a database of another name, owner and locale on
	// another server, for a hash to compare the two by. Such a hash tells nothing about one without.
	Portable bool
	// Patience is for how long a table may be locked before a look at it gives up. Zero: 5 s, which only a table takes
	// that is being rebuilt, or whose session was forgotten.
	Patience time.Duration
}

// Fingerprint is what a single round trip tells about a schema.
type Fingerprint struct {
	// Hash is equal for equal schemas: a SHA-256, in hex, over all objects, with [Version]. What does not count is in
	// docs/health-check.md.
	Hash string
	// Objects is the number of objects.
	Objects int
	// Extensions are those installed in the database, with their versions ("vector 0.8.0"). The versions don't count.
	Extensions []string
	// Missing are those of Required that do not exist.
	Missing []string
	// Invalid are the indexes that are not used because building them did not end, and the constraints that were never
	// checked against all rows: "index users_email_idx". They count as such in Hash. With Portable there are no indexes
	// among them.
	Invalid []string
	// Uncommon is true if the database has objects of uncommon kinds; see [Options].
	Uncommon bool
}

// Object is a table, column, index, function and so on.
type Object struct {
	Kind string `json:"kind"` // "column"
	// Name is "users.email": quoted if SQL needs it, and without the schema if that is Schema or public.
	Name string `json:"name"`
	// Parent is the table of a column, constraint, index, trigger and so on.
	Parent string `json:"parent,omitempty"`
	// Definition is everything else about it; several lines for views and functions.
	Definition string `json:"definition"`
}

// hashQuery counts the objects of uncommon kinds, and hashes those that [normalize] leaves as they are; it returns the
// others. A definition is null if its object was dropped in the meantime.
const hashQuery = `
select encode(sha256(convert_to(coalesce(string_agg(h, '' order by h collate "C"), ''), 'UTF8')), 'hex'), count(*),
  json_agg(json_build_array(kind, name, definition, '')) filter (where h is null and definition is not null),
  coalesce(bool_or(definition is null), false)
from (
  select *, case when strpos(definition, 'ARRAY[') = 0 and strpos(definition, ' AND ') = 0
    and strpos(definition, ' OR ') = 0 then encode(sha256(convert_to(
      jsonb_build_array(kind, name, definition, '')::text, 'UTF8')), 'hex') end as h
  from object
) hashed`

// describeQuery returns them.
const describeQuery = ` select kind, name, parent, definition from object`

// Take has the server print its objects and hashes them, in one round trip, or two if there are objects of uncommon
// kinds and o does not expect them; these the server hashes itself. It looks again if the schema is changed at the same
// moment, or a table is locked, and not for ever: see [postgres.Locked]. The connection must not be in a transaction,
// and its lock_timeout does not matter.
func Take(ctx context.Context, c *postgres.Conn, o Options) (Fingerprint, error) {
	f, err := again(o.Patience, func() (Fingerprint, error) { return o.take(ctx, c) })
	if err != nil {
		return Fingerprint{}, fmt.Errorf("take the schema's fingerprint: %w", err)
	}
	return f, nil
}

func (o Options) take(ctx context.Context, c *postgres.Conn) (f Fingerprint, err error) {
	var h hasher
	r := newReader(o, func(o object) {
		h.add(o)
		if o.invalid {
			f.Invalid = append(f.Invalid, o.kind+" "+o.name)
		}
	})
	there := map[postgres.Table]bool{}
	required := statement{requiredQuery(o), func(w row) error {
		o.readRequired(w, there)
		return nil
	}}
	if f.Uncommon, err = o.ask(ctx, c, required, r, hashQuery, h.addUncommon); err != nil {
		return f, err
	}
	for _, t := range o.Required {
		if !there[t] {
			f.Missing = append(f.Missing, t.String())
		}
	}
	abandoned, err := abandoned(ctx, c, r.unfinished)
	f.Invalid = append(f.Invalid, abandoned...)
	slices.Sort(f.Invalid)
	slices.Sort(r.extensions)
	f.Extensions, f.Objects, f.Hash = r.extensions, h.common+h.uncommon, h.sum()
	return f, err
}

// ask reads the objects of common kinds after another statement, and hands over the rows of a query about the others:
// in the same message if o expects any, else in a second one if there are any. All that a message reads is of the same
// moment, but for what the server's functions print.
func (o Options) ask(
	ctx context.Context, c *postgres.Conn, before statement, r *reader, query string, read func(row) error,
) (uncommon bool, err error) {
	message := append([]statement{
		{sql: "set transaction isolation level repeatable read, read only"}, before,
	}, o.common(r, c.ServerMajor())...)
	if o.Uncommon {
		message = append(message, o.uncommon(query, read)...)
	}
	if err := send(ctx, c, message); err != nil {
		return false, err
	}
	r.finish()
	if r.uncommon && !o.Uncommon {
		return true, send(ctx, c, append([]statement{{sql: "set transaction read only"}}, o.uncommon(query, read)...))
	}
	return r.uncommon, nil
}

// Describe returns the objects that [Take] hashes, ordered by kind and name. It takes as many round trips as Take, and
// looks again as Take does.
func Describe(ctx context.Context, c *postgres.Conn, o Options) ([]Object, error) {
	objects, err := again(o.Patience, func() ([]Object, error) { return o.describe(ctx, c) })
	if err != nil {
		return nil, fmt.Errorf("describe the schema: %w", err)
	}
	slices.SortFunc(objects, func(a, b Object) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Name, b.Name))
	})
	return objects, nil
}

func (o Options) describe(ctx context.Context, c *postgres.Conn) (objects []Object, err error) {
	r := newReader(o, func(o object) {
		objects = append(objects, Object{o.kind, o.name, o.parent, normalize(o.definition) + o.body})
	})
	_, err = o.ask(ctx, c, statement{sql: "select"}, r, describeQuery, func(w row) error {
		if w[3] == nil {
			return ErrChanged
		}
		objects = append(objects, Object{w.text(0), w.text(1), w.text(2), normalize(w.text(3))})
		return nil
	})
	return objects, err
}
