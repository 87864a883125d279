package pgdump

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/org/neon-tenants-action/internal/postgres"
	"github.com/org/neon-tenants-action/internal/sqltext"
)

// loadedTable is a table that a backup has rows for, as the server that took them knows it.
type loadedTable struct {
	postgres.TableRows        // the name as the backup spells it, and the rows that the server says it took
	id, tree           string // see [postgres.Counted]; empty if the table is gone again
	partitioned        bool
	uncounted          string // why nobody counts the rows that it holds; empty if somebody does
}

// intake counts the rows that the server took, by the table's name as the backup spells it.
type intake struct {
	tables []loadedTable
	index  map[string]int
}

func (in *intake) add(table string, rows int64) {
	i, known := in.index[table]
	if !known {
		if in.index == nil {
			in.index = map[string]int{}
		}
		i = len(in.tables)
		table = strings.Clone(table) // and not a piece of the whole statement
		in.index[table] = i
		in.tables = append(in.tables, loadedTable{TableRows: postgres.TableRows{Table: table}})
	}
	in.tables[i].Rows += rows
}

// inserted takes note of a statement and the tag with which the server answered it.
func (in *intake) inserted(sql, tag string, lexer sqltext.Lexer) {
	count, ok := strings.CutPrefix(tag, "INSERT 0 ")
	if !ok {
		return
	}
	rows, err := strconv.ParseInt(count, 10, 64)
	if table := filledTable(sql, lexer); err == nil && table != "" {
		in.add(table, rows)
	}
}

// filledTable returns the table of a COPY or INSERT INTO statement.
func filledTable(sql string, lexer sqltext.Lexer) string {
	start := -1 // of the name
	for i := 0; i < len(sql); {
		end, kind, _ := lexer.Token(sql, i)
		token := sql[i:end]
		switch {
		case start >= 0 && (kind == sqltext.Blank || token == "("):
			return sql[start:i]
		case start >= 0 || kind == sqltext.Blank:
		case strings.EqualFold(token, "copy"), strings.EqualFold(token, "insert"), strings.EqualFold(token, "into"):
		default:
			start = i
		}
		i = end
	}
	return ""
}

// identifySQL finds the tables whose names take the place of %s, as the session that loaded them reads names. The rows
// of an extension's table are partly the extension's own, those of a foreign table elsewhere.
const identifySQL = `select n.place, c.oid, coalesce(pg_catalog.pg_partition_root(c.oid)::oid, c.oid),
	c.relkind = 'p', case when c.relkind = 'f' then 'its rows are on a foreign server'
		when e.objid is not null then 'it belongs to an extension, which has rows of its own in it' end
from (values %s) n (place, name) join pg_catalog.pg_class c on c.oid = pg_catalog.to_regclass(n.name)
left join pg_catalog.pg_depend e on e.classid = 'pg_catalog.pg_class'::pg_catalog.regclass and e.objid = c.oid
	and e.deptype = 'e'`

// identify asks the server which tables the names mean. It must be asked in the transaction that loads the backup,
// where names have the backup's encoding.
func (in *intake) identify(ctx context.Context, conn *postgres.Conn) error {
	if len(in.tables) == 0 {
		return nil
	}
	var values []string
	for i, t := range in.tables {
		values = append(values, fmt.Sprintf("(%d, %s)", i, sqltext.QuoteLiteral(t.Table)))
	}
	answers, err := conn.Results(ctx, fmt.Sprintf(identifySQL, strings.Join(values, ", ")))
	if err != nil {
		return err
	}
	for _, row := range answers[0] {
		place, err := strconv.Atoi(string(row[0]))
		if err != nil {
			return err
		}
		t := &in.tables[place]
		t.id, t.tree, t.partitioned, t.uncounted = string(row[1]), string(row[2]), string(row[3]) == "t", string(row[4])
	}
	return nil
}
