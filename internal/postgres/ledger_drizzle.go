package postgres

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/org/neon-tenants-action/internal/sqltext"
)

// Row is a row of drizzle's table.
type Row struct {
	ID int64
	Entry
}

// Identity is the row's version: its name if it has one, or else its time in milliseconds.
func (r Row) Identity() string { return cmp.Or(r.Name, strconv.FormatInt(r.CreatedAt, 10)) }

// key is what stays the same of a row if drizzle 1.0 gives it a name.
func (r Row) key() string { return strconv.FormatInt(r.CreatedAt, 10) + " " + r.Hash }

// createDrizzle is what drizzle sends, with its forms of 0.x and of 1.0. It makes the schema in any case.
func (r Recorder) createDrizzle() []string {
	columns := "id serial primary key, hash text not null, created_at bigint"
	if r.Names {
		columns += ", name text, applied_at timestamp with time zone default now()"
	}
	return []string{fmt.Sprintf("create table if not exists %s (%s)", r.Quoted(), columns)}
}

func (r Recorder) insertDrizzle(entries []Entry) string {
	return fmt.Sprintf("insert into %s (%s) values %s", r.Quoted(), r.columns("created_at"), r.rows(entries))
}

// columns are those that a row fills, with an expression for the time.
func (r Recorder) columns(created string) string {
	if r.Names {
		return "hash, " + created + ", name"
	}
	return "hash, " + created
}

// rows are the values of entries, a row each.
func (r Recorder) rows(entries []Entry) string {
	rows := make([]string, len(entries))
	for i, e := range entries {
		rows[i] = "(" + r.values(e) + ")"
	}
	return strings.Join(rows, ", ")
}

// values are those of an entry's columns. An entry without a name has none.
func (r Recorder) values(e Entry) string {
	text := sqltext.QuoteLiteral(e.Hash) + ", " + strconv.FormatInt(e.CreatedAt, 10)
	switch {
	case r.Names && e.Name == "":
		return text + ", null"
	case r.Names:
		return text + ", " + sqltext.QuoteLiteral(e.Name)
	}
	return text
}

func (r Recorder) keptDrizzle(entries []Entry) string {
	return fmt.Sprintf("(select count(*) from (select distinct %s from %s) kept where (%s) in (%s)) = %d",
		r.columns("created_at::bigint"), r.Quoted(), r.columns("created_at"), r.rows(entries), len(entries))
}

// Upgrade are the statements that give the table of 0.x the form of 1.0, and rows without a name theirs, by their ids.
// They are those of drizzle's own upgrade.
func (r Recorder) Upgrade(names map[int64]string) []string {
	all := []string{
		"alter table " + r.Quoted() + " add column if not exists name text",
		"alter table " + r.Quoted() + " add column if not exists applied_at timestamp with time zone default now()",
	}
	var rows []string
	for id, name := range names {
		rows = append(rows, fmt.Sprintf("(%d, %s)", id, sqltext.QuoteLiteral(name)))
	}
	if len(rows) > 0 {
		slices.Sort(rows)
		all = append(all, fmt.Sprintf("update %s t set name = u.name, applied_at = null from (values %s) u (id, name) "+
			"where t.id = u.id", r.Quoted(), strings.Join(rows, ", ")))
	}
	return all
}

// drizzleColumns are those of 1.0; 0.x has the first three.
var drizzleColumns = []string{"id", "hash", "created_at", "name", "applied_at"}

// readDrizzle reads the rows of a table that has drizzle's columns and no other that must be filled.
func (s *Status) readDrizzle(ctx context.Context, c *Conn, rows Rows) error {
	at := map[string]int{}
	for i, column := range rows.Columns {
		at[column] = i
	}
	for _, column := range drizzleColumns[:3] {
		if _, has := at[column]; !has {
			return s.notDrizzle("has no column " + column)
		}
	}
	name, named := at["name"]
	s.Named = named
	if len(rows.Columns) != 3 && !slices.Equal(rows.Columns, drizzleColumns) {
		if err := checkColumns(ctx, c, s.Table, drizzleColumns...); err != nil {
			return err
		}
	}
	for _, values := range rows.Values {
		r := Row{Entry: Entry{Hash: string(values[at["hash"]])}}
		if named {
			r.Name = string(values[name])
		}
		created := values[at["created_at"]]
		if err := s.add(r, string(values[at["id"]]), string(created)); err != nil {
			return err
		}
	}
	return nil
}

// add adds a row. Without a time drizzle 0.x would apply everything once more.
func (s *Status) add(r Row, id, created string) (err error) {
	if r.ID, err = strconv.ParseInt(id, 10, 64); err != nil {
		return s.notDrizzle(fmt.Sprintf("has a row whose id is %q and no number", id))
	}
	if r.CreatedAt, err = strconv.ParseInt(created, 10, 64); err != nil {
		return s.notDrizzle(fmt.Sprintf("has a row (id %s) whose created_at is %q and no number", id, created))
	}
	s.Rows = append(s.Rows, r)
	s.Versions[r.Identity()] = true
	return nil
}

func (s *Status) notDrizzle(why string) error {
	return &TableError{VersionsNotOurs, s.Table.Table,
		fmt.Sprintf("%s %s, so it is not drizzle's", s.Table.Quoted(), why)}
}

// rowsOfDrizzle names all columns, so that it fails where the table has others.
func rowsOfDrizzle(columns string) string {
	text := "case " + columns
	for _, n := range []int{3, len(drizzleColumns)} {
		text += fmt.Sprintf(" when %d then 'select coalesce(pg_catalog.json_agg(pg_catalog.json_build_array("+
			"%s::text)), ''[]'') from %%I.%%I'", n, strings.Join(drizzleColumns[:n], "::text, "))
	}
	return text + " end"
}

func (s *Status) readDrizzleJSON(text []byte) error {
	var rows [][]*string
	if err := json.Unmarshal(text, &rows); err != nil {
		return err
	}
	value := func(p *string) string {
		if p == nil {
			return ""
		}
		return *p
	}
	for _, r := range rows {
		row := Row{Entry: Entry{Hash: value(r[1])}}
		if s.Named = len(r) > 3; s.Named {
			row.Name = value(r[3])
		}
		if err := s.add(row, value(r[0]), value(r[2])); err != nil {
			return err
		}
	}
	return nil
}

// Keys are what tells recorded versions apart for good: those themselves, or what an upgrade of drizzle's table leaves
// as it is.
func (s Status) Keys(versions map[string]bool) map[string]bool {
	if s.Table.Format != Drizzle {
		return versions
	}
	keys := map[string]bool{}
	for _, r := range s.Rows {
		if versions[r.Identity()] {
			keys[r.key()] = true
		}
	}
	return keys
}
