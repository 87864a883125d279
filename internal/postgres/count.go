package postgres

import (
	"context"
	"fmt"
	"strconv"
	"strings"
)

// TableRows is the number of rows of a table or materialized view; -1 if the role may not see all of them.
type TableRows struct {
	Table string // with its schema, quoted where SQL needs it
	Rows  int64
}

// Counted is a table or materialized view whose rows were counted.
type Counted struct {
	TableRows
	ID   string // its object identifier
	Tree string // that of the partitioned table at the root of its tree; without one, its own
}

// tablesQuery lists the tables and materialized views that are not an extension's; of a partitioned table, the
// partitions.
const tablesQuery = `select pg_catalog.format('%I.%I', n.nspname, c.relname), c.oid,
	coalesce(pg_catalog.pg_partition_root(c.oid)::oid, c.oid)
from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where c.relkind in ('r', 'm') and c.relispopulated and c.relpersistence <> 't'
	and n.nspname !~ '^pg_' and n.nspname <> 'information_schema' and not exists (
		select from pg_catalog.pg_depend d
		where d.classid = 'pg_catalog.pg_class'::regclass and d.objid = c.oid and d.deptype = 'e')
order by n.nspname collate "C", c.relname collate "C"`

// CountRows counts the rows of every table and materialized view that is not an extension's. Of a partitioned table it
// counts the partitions.
func (c *Conn) CountRows(ctx context.Context) ([]Counted, error) {
	// With row security off, a count that a policy would falsify is an error.
	answers, err := c.Results(ctx, "set row_security = off; "+tablesQuery)
	if err != nil {
		return nil, fmt.Errorf("list the tables: %w", err)
	}
	var tables []Counted
	for _, row := range answers[1] {
		tables = append(tables, Counted{TableRows{Table: string(row[0])}, string(row[1]), string(row[2])})
	}
	const batch = 50 // tables in one round trip
	for from := 0; from < len(tables); from += batch {
		some := tables[from:min(from+batch, len(tables))]
		if c.countTables(ctx, some) == nil {
			continue
		}
		if err := c.countEach(ctx, some); err != nil {
			return nil, err
		}
	}
	return tables, nil
}

// countEach counts tables one by one, because the role may not read some of them.
func (c *Conn) countEach(ctx context.Context, tables []Counted) error {
	for i := range tables {
		err := c.countTables(ctx, tables[i:i+1])
		if HasCode(err, "42501") {
			tables[i].Rows = -1
		} else if err != nil {
			return err
		}
	}
	return nil
}

// countTables counts tables in one round trip.
func (c *Conn) countTables(ctx context.Context, tables []Counted) error {
	var counts []string
	for _, t := range tables {
		counts = append(counts, "select pg_catalog.count(*) from only "+t.Table)
	}
	answers, err := c.Results(ctx, strings.Join(counts, "; "))
	if err != nil {
		return fmt.Errorf("count the rows of %s: %w", tables[min(len(answers), len(tables)-1)].Table, err)
	}
	for i := range tables {
		if tables[i].Rows, err = strconv.ParseInt(string(answers[i][0][0]), 10, 64); err != nil {
			return fmt.Errorf("count the rows of %s: %w", tables[i].Table, err)
		}
	}
	return nil
}
