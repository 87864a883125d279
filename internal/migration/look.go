package migration

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/org/neon-tenants-action/internal/postgres"
)

// lockModes are those that keep others from writing or reading, the weakest first, as pg_locks has them.
var lockModes = []string{"ShareLock", "ShareRowExclusiveLock", "ExclusiveLock", "AccessExclusiveLock"}

// modeNames are the same as SQL has them.
var modeNames = []string{"SHARE", "SHARE ROW EXCLUSIVE", "EXCLUSIVE", "ACCESS EXCLUSIVE"}

// relation is a table, view, index and so on that was there before the run.
type relation struct {
	name     string // with its schema if that is not the home schema, quoted where need be
	schema   string
	plain    string // the name without schema and quotes
	kind     string // relkind
	table    uint32 // of an index
	filenode int64
}

// snapshotQuery returns everything that can be locked or rewritten.
const snapshotQuery = `select pg_catalog.json_agg(pg_catalog.json_build_array(c.oid::bigint, n.nspname,
	pg_catalog.quote_ident(n.nspname), c.relname, pg_catalog.quote_ident(c.relname), c.relkind,
	coalesce(i.indrelid::bigint, 0), coalesce(pg_catalog.pg_relation_filenode(c.oid)::bigint, 0)))
from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
left join pg_catalog.pg_index i on i.indexrelid = c.oid
where c.oid >= 16384 and c.relkind in ('r', 'p', 'm', 'v', 'f', 'i', 'I')`

// lookQuery returns the session's own strong locks with the files and sizes of what they are on, the indexes of these
// tables, the columns that a valid check says are not null, and the time, because looking takes some.
var lookQuery = `with l as materialized (select relation, mode from pg_catalog.pg_locks where
	pid = pg_catalog.pg_backend_pid() and locktype = 'relation' and granted and mode in ('` +
	strings.Join(lockModes, "', '") + `') and database = (
	select oid from pg_catalog.pg_database where datname = pg_catalog.current_database()))
select (select pg_catalog.json_agg(pg_catalog.json_build_array(l.relation::bigint, l.mode,
	coalesce(pg_catalog.pg_relation_filenode(l.relation)::bigint, 0),
	case when l.relation in (select relation from l where mode = 'AccessExclusiveLock')
	then coalesce(pg_catalog.pg_table_size(l.relation), 0) else 0 end)) from l),
(select pg_catalog.json_agg(pg_catalog.json_build_array(i.indexrelid::bigint, i.indrelid::bigint,
	c.relnamespace::pg_catalog.regnamespace::text, pg_catalog.quote_ident(c.relname),
	pg_catalog.pg_relation_size(i.indexrelid)))
	from pg_catalog.pg_index i join pg_catalog.pg_class c on c.oid = i.indexrelid
	where i.indrelid in (select relation from l) and c.relkind = 'i'),
(select pg_catalog.json_agg(pg_catalog.json_build_array(k.conrelid::bigint, a.attname))
	from pg_catalog.pg_constraint k join pg_catalog.pg_attribute a on a.attrelid = k.conrelid
	where k.conrelid in (select relation from l where mode = 'AccessExclusiveLock') and k.contype = 'c'
	and k.convalidated and k.conkey = array[a.attnum] and pg_catalog.pg_get_expr(k.conbin, k.conrelid) =
	'(' || pg_catalog.quote_ident(a.attname) || ' IS NOT NULL)'), ` + microseconds

const microseconds = `(extract(epoch from pg_catalog.clock_timestamp()) * 1000000)::bigint`

// look is an answer to lookQuery.
type look struct {
	began, ended time.Duration // by the server's clock, since 1970; began is that of a query before it
	locks        []heldLock
	indexes      []indexOf
	notNull      []notNullColumn
	statement    int // whose doing it shows
	next         int // the statement after it
}

// holds reports whether a look finds a lock.
func (l look) holds(h heldLock) bool {
	return slices.ContainsFunc(l.locks, func(found heldLock) bool {
		return found.relation == h.relation && found.mode == h.mode
	})
}

// filenode is the file of something that is locked, as what was just made always is.
func (l look) filenode(oid uint32) int64 {
	i := slices.IndexFunc(l.locks, func(h heldLock) bool { return h.relation == oid })
	if i < 0 {
		return 0
	}
	return l.locks[i].filenode
}

type heldLock struct {
	relation        uint32
	mode            int // an index into lockModes
	filenode, bytes int64
}

type notNullColumn struct {
	table uint32
	name  string
}

type indexOf struct {
	index, table uint32
	schema, name string // quoted where need be
	bytes        int64
}

// parseTime reads a time in microseconds.
func parseTime(text []byte) (time.Duration, error) {
	n, err := strconv.ParseInt(string(text), 10, 64)
	return time.Duration(n) * time.Microsecond, err
}

// parseLook reads the time before a look, and the one row of lookQuery.
func parseLook(began []byte, rows [][][]byte) (l look, err error) {
	row := rows[0]
	if l.began, err = parseTime(began); err != nil {
		return l, err
	}
	if l.ended, err = parseTime(row[3]); err != nil {
		return l, err
	}
	err = eachArray(row[0], func(values []json.RawMessage) error {
		var h heldLock
		var mode string
		if err := decodeAll(values, &h.relation, &mode, &h.filenode, &h.bytes); err != nil {
			return err
		}
		h.mode = slices.Index(lockModes, mode)
		l.locks = append(l.locks, h)
		return nil
	})
	if err != nil {
		return l, err
	}
	err = eachArray(row[1], func(values []json.RawMessage) error {
		var i indexOf
		err := decodeAll(values, &i.index, &i.table, &i.schema, &i.name, &i.bytes)
		l.indexes = append(l.indexes, i)
		return err
	})
	if err != nil {
		return l, err
	}
	return l, eachArray(row[2], func(values []json.RawMessage) error {
		var c notNullColumn
		err := decodeAll(values, &c.table, &c.name)
		l.notNull = append(l.notNull, c)
		return err
	})
}

// eachArray calls read with each array in a JSON array of arrays. Nil is an empty one.
func eachArray(text []byte, read func([]json.RawMessage) error) error {
	var all [][]json.RawMessage
	if text == nil {
		return nil
	}
	if err := json.Unmarshal(text, &all); err != nil {
		return err
	}
	for _, one := range all {
		if err := read(one); err != nil {
			return err
		}
	}
	return nil
}

func decodeAll(values []json.RawMessage, into ...any) error {
	if len(values) != len(into) {
		return fmt.Errorf("the server answers %d values, not %d", len(values), len(into))
	}
	for i, v := range values {
		if err := json.Unmarshal(v, into[i]); err != nil {
			return err
		}
	}
	return nil
}

// parseSnapshot reads the row of snapshotQuery. Names are without the schema if that is home, or public if home is
// empty.
func parseSnapshot(rows [][][]byte, home string) (map[uint32]relation, error) {
	all := map[uint32]relation{}
	return all, eachArray(rows[0][0], func(values []json.RawMessage) error {
		var oid uint32
		var quoted string
		var r relation
		err := decodeAll(values, &oid, &r.schema, &quoted, &r.plain, &r.name, &r.kind, &r.table, &r.filenode)
		if err != nil {
			return err
		}
		if r.schema != cmp.Or(home, postgres.PublicSchema) {
			r.name = quoted + "." + r.name
		}
		all[oid] = r
		return nil
	})
}
