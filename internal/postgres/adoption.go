package postgres

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/org/neon-tenants-action/internal/sqltext"
)

// Existing is what a schema or a database holds before a first migration is run in it.
type Existing struct {
	// Record is its table of applied versions, quoted and with its schema; empty if it has none.
	Record string
	// Foreign is a sentence that says why the record cannot be the tool's; empty if it can.
	Foreign string
	// Versions are those that the record holds.
	Versions []string
	// Other is an object that it holds beside the record, with its kind: "table acme.users". Empty if there is none.
	Other string
}

// recordQuery names the table of applied versions, and then, if it is drizzle's, the sequence that numbers its rows.
const recordQuery = `select o.identity
from pg_catalog.pg_class c, lateral pg_catalog.pg_identify_object('pg_catalog.pg_class'::regclass, c.oid, 0) o
where c.oid = pg_catalog.to_regclass(%[1]s) and c.relkind in ('r', 'p', 'v', 'm', 'f')
	or %[2]t and c.relkind = 'S' and c.oid in (select d.objid from pg_catalog.pg_depend d
		where d.classid = 'pg_catalog.pg_class'::regclass and d.refclassid = d.classid and d.deptype in ('a', 'i')
		and d.refobjid = pg_catalog.to_regclass(%[1]s))
order by c.relkind = 'S', o.identity`

// otherQuery names an object in a schema, beside its record of applied versions. Objects of every kind depend on the
// schema that they are in; parts of a table depend on the table instead.
const otherQuery = `select o.type || ' ' || o.identity from pg_catalog.pg_depend d,
	lateral pg_catalog.pg_identify_object(d.classid, d.objid, d.objsubid) o
where d.refclassid = 'pg_catalog.pg_namespace'::regclass and d.deptype = 'n'
	and d.refobjid = (select oid from pg_catalog.pg_namespace where nspname = %s)
	and o.identity <> all (array[%s]::text[])
order by o.type <> 'table', o.type, o.identity collate "C" limit 1`

// ExistingSchema tells what a schema holds. t is its table of applied versions, with the schema. Errors:
// [*MissingSchemaError], [*TableError], the server's.
func (c *Conn) ExistingSchema(ctx context.Context, t Ledger) (e Existing, err error) {
	err = c.snapshot(ctx, func() error {
		rows, err := c.Query(ctx, "select from pg_catalog.pg_namespace where nspname = $1", t.Schema)
		if err == nil && len(rows.Values) == 0 {
			return &MissingSchemaError{t.Schema}
		}
		if err != nil {
			return err
		}
		var parts []string
		if e, parts, err = c.record(ctx, t); err != nil {
			return err
		}
		rows, err = c.Query(ctx,
			fmt.Sprintf(otherQuery, sqltext.QuoteLiteral(t.Schema), sqltext.QuoteLiterals(parts)))
		if err == nil && len(rows.Values) > 0 {
			e.Other = string(rows.Values[0][0])
		}
		return err
	})
	return e, err
}

// ExistingDatabase tells what the database holds. t is its table of applied versions; without a schema it is looked for
// where a migration finds it. Errors: [*TableError], the server's.
func (c *Conn) ExistingDatabase(ctx context.Context, t Ledger) (e Existing, err error) {
	err = c.snapshot(ctx, func() error {
		var parts []string
		if e, parts, err = c.record(ctx, t); err != nil {
			return err
		}
		objects, err := c.Objects(ctx)
		for _, o := range objects {
			ownSchema := t.Schema != "" && o.Type == "schema" && o.Name == sqltext.QuoteIdentifier(t.Schema)
			if e.Other == "" && !slices.Contains(parts, o.Name) && !ownSchema {
				e.Other = o.Type + " " + o.Name
			}
		}
		return err
	})
	return e, err
}

// snapshot runs do's statements in one snapshot, so that they see no migration of another run in part.
func (c *Conn) snapshot(ctx context.Context, do func() error) error {
	_, err := c.Exec(ctx, "begin isolation level repeatable read read only; set local row_security = off")
	if err == nil {
		err = do()
	}
	if err == nil {
		_, err = c.Exec(ctx, "commit")
	}
	if err != nil {
		c.Reset(ctx)
	}
	return err
}

// record reads the table of applied versions. parts are the names of that table and of what numbers its rows.
func (c *Conn) record(ctx context.Context, t Ledger) (e Existing, parts []string, err error) {
	rows, err := c.Query(ctx, fmt.Sprintf(recordQuery, sqltext.QuoteLiteral(t.Quoted()), t.Format == Drizzle))
	if err != nil || len(rows.Values) == 0 {
		return e, nil, err
	}
	e = Existing{Record: string(rows.Values[0][0])}
	for _, row := range rows.Values {
		parts = append(parts, string(row[0]))
	}
	if rows, err = c.Query(ctx, "select * from "+e.Record); err != nil {
		return Existing{}, nil, versionsError(err, t.Table)
	}
	status := Status{Table: t, Versions: map[string]bool{}}
	var table *TableError
	if err := status.read(ctx, c, rows); errors.As(err, &table) && table.Cause == VersionsNotOurs {
		e.Foreign = table.Error()
		return e, parts, nil
	} else if err != nil {
		return Existing{}, nil, err
	}
	e.Versions = slices.Sorted(maps.Keys(status.Versions))
	return e, parts, nil
}
