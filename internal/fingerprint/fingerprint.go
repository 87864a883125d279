// Package fingerprint describes a schema as the server prints it, hashes the description, and shows how two differ.
package fingerprint

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/org/neon-tenants-action/internal/postgres"
)

// Version is that of the fingerprints' form. It changes whenever equal schemas would get another hash, and hashes of
// different versions tell nothing about each other.
const Version = 2

// ErrChanged is the error of a schema that changed while it was read.
var ErrChanged = errors.New("the schema changed while it was read")

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
	// checked against all rows: "index users_email_idx". They count as such in Hash.
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

// hashQuery counts all objects, and hashes those that [normalize] leaves as they are; it returns the others. A
// definition is null if its object was dropped in the meantime.
const hashQuery = `
select encode(sha256(convert_to(coalesce(string_agg(h, '' order by h collate "C"), ''), 'UTF8')), 'hex'), count(*),
  json_agg(json_build_array(kind, name, definition, body)) filter (where h is null and definition is not null),
  json_agg(kind || ' ' || name order by kind, name) filter (where invalid),
  coalesce(bool_or(definition is null), false)`

// databaseQuery are further columns: the extensions, and whether there are objects of uncommon kinds.
const databaseQuery = `,
  (select string_agg(extname || ' ' || extversion, E'\n' order by extname collate "C")
   from pg_extension where extname <> 'plpgsql'),` + anyUncommon

// anyUncommon is SQL for whether there are objects of uncommon kinds. It reads few catalogs, because a new session
// takes long to read one for the first time. The system's own numbers are below 16384.
const anyUncommon = `
  (exists (select from relation where relkind in ('p', 'f')) or exists (select from kind where typtype = 'r') or
  exists (select from routine where prokind = 'a') or {{whole}} and exists (select from pg_publication) or exists (
    select from pg_depend d where d.objid >= 16384 and d.classid in ('pg_operator'::regclass, 'pg_opclass'::regclass,
      'pg_opfamily'::regclass, 'pg_cast'::regclass, 'pg_collation'::regclass, 'pg_conversion'::regclass,
      'pg_ts_config'::regclass, 'pg_ts_dict'::regclass, 'pg_event_trigger'::regclass, 'pg_statistic_ext'::regclass,
      'pg_foreign_data_wrapper'::regclass, 'pg_foreign_server'::regclass, 'pg_publication_rel'::regclass,
      to_regclass('pg_publication_namespace'))
    and not exists (select from extension e where e.classid = d.classid and e.objid = d.objid)))`

// fromObjects ends both queries.
const fromObjects = `
from (
  select *, case when not ` + mayBeRewritten + ` then encode(sha256(convert_to(
    jsonb_build_array(kind, name, definition, body)::text, 'UTF8')), 'hex') end as h
  from object
) hashed`

// describeQuery returns the objects, and describeDatabase also a row without a kind that says whether there are
// uncommon ones.
const (
	describeQuery    = ` select kind, name, parent, definition, body from object`
	describeDatabase = describeQuery + ` union all select '', '', '', ` + anyUncommon + `::text, ''`
)

// Take has the server describe and hash its objects, in one round trip, or two if there are objects of uncommon kinds
// and o does not expect them. Only the hash is sent back, and the definitions that must be normalized before they are
// hashed. If the schema changes at the same moment, that may be an error; see [Changed].
func Take(ctx context.Context, c *postgres.Conn, o Options) (Fingerprint, error) {
	f, err := o.take(ctx, c)
	if err != nil {
		return Fingerprint{}, fmt.Errorf("take the schema's fingerprint: %w", err)
	}
	return f, nil
}

func (o Options) take(ctx context.Context, c *postgres.Conn) (f Fingerprint, err error) {
	got, err := o.ask(ctx, c, missingQuery(o), queries{
		common: hashQuery + databaseQuery + fromObjects, uncommon: hashQuery + fromObjects,
		hasUncommon: func(rows [][][]byte) bool { return string(rows[0][6]) == "t" },
	})
	if err != nil {
		return f, err
	}
	for _, row := range got.before {
		if i, err := strconv.Atoi(string(row[0])); err == nil && i < len(o.Required) {
			f.Missing = append(f.Missing, o.Required[i].String())
		}
	}
	if list := got.common[0][5]; list != nil {
		f.Extensions = strings.Split(string(list), "\n")
	}
	f.Uncommon = got.hasUncommon
	return f, f.read(slices.Concat(got.common, got.uncommon))
}

// queries ask for the objects of common and of uncommon kinds. hasUncommon reads, from the rows of the common ones,
// whether there are any of the others.
type queries struct {
	common, uncommon string
	hasUncommon      func(rows [][][]byte) bool
}

// answers are the rows of the statement sent first, and of both queries.
type answers struct {
	before, common, uncommon [][][]byte
	hasUncommon              bool
}

// ask sends queries after another statement: both at once if o expects uncommon objects, else the second if there are
// some.
func (o Options) ask(ctx context.Context, c *postgres.Conn, before string, q queries) (got answers, err error) {
	message := "set transaction read only; " + before + "; " + o.over(commonKinds, q.common)
	uncommon := o.over(uncommonKinds, q.uncommon)
	if o.Uncommon {
		message += "; close neon_tenants_objects; " + uncommon
	}
	rows, err := c.Results(ctx, message)
	if err != nil {
		return got, err
	}
	const first = 5 // answers: set, before, settings, cursor, search_path
	got.before, got.common = rows[1], rows[first]
	got.hasUncommon = q.hasUncommon(got.common)
	if got.hasUncommon && !o.Uncommon {
		if rows, err = c.Results(ctx, "set transaction read only; "+uncommon); err != nil {
			return got, err
		}
	}
	if got.hasUncommon || o.Uncommon {
		got.uncommon = rows[len(rows)-1]
	}
	return got, nil
}

// read completes the fingerprint with the rows of hashQuery.
func (f *Fingerprint) read(rows [][][]byte) error {
	var servers []string
	var printed [][4]string
	for _, row := range rows {
		if string(row[4]) != "f" {
			return ErrChanged
		}
		n, err := strconv.Atoi(string(row[1]))
		if err != nil {
			return err
		}
		if f.Objects += n; n > 0 {
			servers = append(servers, string(row[0]))
		}
		var some [][4]string
		var invalid []string
		if err := errors.Join(decode(row[2], &some), decode(row[3], &invalid)); err != nil {
			return err
		}
		printed, f.Invalid = append(printed, some...), append(f.Invalid, invalid...)
	}
	f.Hash = hash(servers, printed)
	return nil
}

// decode reads JSON, or leaves into as it is if there is none.
func decode(text []byte, into any) error {
	if text == nil {
		return nil
	}
	return json.Unmarshal(text, into)
}

// hash joins the server's hashes with the objects that it left out: kind, name, definition, body.
func hash(servers []string, printed [][4]string) string {
	var sums []string
	for _, o := range printed {
		o[2] = normalize(o[2])
		sum := sha256.Sum256([]byte(strings.Join(o[:], "\x00"))) // no text has a zero byte
		sums = append(sums, hex.EncodeToString(sum[:]))
	}
	slices.Sort(sums)
	whole := sha256.Sum256([]byte(strconv.Itoa(Version) + "\n" + strings.Join(servers, "") + "\n" +
		strings.Join(sums, "")))
	return hex.EncodeToString(whole[:])
}

// Changed reports whether an error of [Take] or [Describe] is due to a change of the schema at the same moment, so that
// a second look may succeed: the server reads its catalogs' newest rows, and misses what was dropped meanwhile.
func Changed(err error) bool {
	return errors.Is(err, ErrChanged) || postgres.HasCode(err, "XX000") || postgres.HasCode(err, "42P01") ||
		postgres.HasCode(err, "42703") || postgres.HasCode(err, "42704") || postgres.HasCode(err, "42883")
}

// Describe returns the objects that [Take] hashes, ordered by kind and name. It takes as many round trips as Take.
func Describe(ctx context.Context, c *postgres.Conn, o Options) ([]Object, error) {
	objects, err := o.describe(ctx, c)
	if err != nil {
		return nil, fmt.Errorf("describe the schema: %w", err)
	}
	slices.SortFunc(objects, func(a, b Object) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Name, b.Name))
	})
	return objects, nil
}

func (o Options) describe(ctx context.Context, c *postgres.Conn) (objects []Object, err error) {
	got, err := o.ask(ctx, c, "select", queries{
		common: describeDatabase, uncommon: describeQuery,
		hasUncommon: func(rows [][][]byte) bool {
			return slices.ContainsFunc(rows, func(row [][]byte) bool {
				return len(row[0]) == 0 && string(row[3]) == "true"
			})
		},
	})
	if err != nil {
		return nil, err
	}
	for _, row := range slices.Concat(got.common, got.uncommon) {
		if len(row[0]) == 0 {
			continue
		}
		if row[3] == nil {
			return nil, ErrChanged
		}
		definition := normalize(string(row[3])) + string(row[4])
		objects = append(objects, Object{string(row[0]), string(row[1]), string(row[2]), definition})
	}
	return objects, nil
}
