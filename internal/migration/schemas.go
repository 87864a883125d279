package migration

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/org/neon-tenants-action/internal/postgres"
	"github.com/org/neon-tenants-action/internal/sqltext"
)

// Schemas are what the schemas of one database recorded at one moment.
type Schemas struct {
	table  postgres.Table
	states map[string]postgres.Status
}

const (
	schemasPerTransaction = 500  // a lock for each table and index that is read is held until its end; a server has 6,400 by default
	schemasPerMessage     = 2000 // bounds the memory of an answer
)

// ReadSchemas reads the versions that many schemas record, thousands of them in one round trip. A schema whose table cannot
// be read is left out: whoever asks it alone gets to know why.
func ReadSchemas(ctx context.Context, c *postgres.Conn, t postgres.Table, schemas []string) (Schemas, error) {
	s := Schemas{t, make(map[string]postgres.Status, len(schemas))}
	sets := map[string]map[string]bool{} // most schemas record the same
	for from := 0; from < len(schemas); from += schemasPerMessage {
		some := schemas[from:min(from+schemasPerMessage, len(schemas))]
		var sql []string
		for low := 0; low < len(some); low += schemasPerTransaction {
			sql = append(sql, versionsQuery(t, some[low:min(low+schemasPerTransaction, len(some))], low))
		}
		answers, err := c.Results(ctx, strings.Join(sql, "; "))
		if err != nil {
			c.Reset(ctx)
			return Schemas{}, fmt.Errorf("read the applied versions of %d schemas: %w", len(some), err)
		}
		for _, rows := range answers {
			for _, row := range rows {
				if err := s.note(some, row, sets); err != nil {
					return Schemas{}, err
				}
			}
		}
	}
	return s, nil
}

// versionsQuery is one transaction that returns a row for each schema: its index, whether it exists, whether it has the table,
// and the versions in it as JSON, null where they cannot be read. A loop on the server is as fast as a union of all, does
// not grow faster than they do, and one table's fault is not the others'.
func versionsQuery(t postgres.Table, schemas []string, first int) string {
	names := make([]string, len(schemas))
	for i, n := range schemas {
		names[i] = sqltext.QuoteLiteral(n)
	}
	body := fmt.Sprintf(`
declare
	result refcursor := 'versions';
	r record;
	found boolean[]; recorded boolean[]; texts text[];
	v text;
begin
	for r in select n.nspname, c.oid is not null as has from unnest(array[%s]::text[]) with ordinality u(name, i)
		left join pg_catalog.pg_namespace n on n.nspname = u.name
		left join pg_catalog.pg_class c on c.relnamespace = n.oid and c.relname = %s and c.relkind in ('r', 'p', 'v', 'm', 'f')
		order by u.i
	loop
		v := '[]';
		if r.has then
			begin
				execute pg_catalog.format('select pg_catalog.to_json(array(select version::text from %%I.%%I))', r.nspname, %[2]s) into v;
			exception when others then -- a cancel is not among them
				v := null;
			end;
		end if;
		found := found || (r.nspname is not null); recorded := recorded || r.has; texts := texts || v;
	end loop;
	open result for select i + %[3]d, found[i + 1], recorded[i + 1], texts[i + 1] from pg_catalog.generate_series(0, %[4]d) i;
end`, strings.Join(names, ", "), sqltext.QuoteLiteral(t.Name), first, len(schemas)-1)
	// Whoever changes a schema at this moment is not waited for long: that one is asked alone later. Without hashes and merges the
	// schemas are looked up by index, and a catalog of thousands of them is not read as a whole for each transaction.
	return "begin transaction isolation level read committed; set local lock_timeout = '2s'; set local enable_hashjoin = off; set local enable_mergejoin = off; do " + sqltext.QuoteLiteral(body) + "; fetch all from versions; commit"
}

func (s Schemas) note(schemas []string, row [][]byte, sets map[string]map[string]bool) error {
	i, err := strconv.Atoi(string(row[0]))
	if err != nil || i >= len(schemas) {
		return fmt.Errorf("read the applied versions: the server answers for schema %q of %d", row[0], len(schemas))
	}
	if row[3] == nil {
		return nil
	}
	set, ok := sets[string(row[3])]
	if !ok {
		var versions []string
		if err := json.Unmarshal(row[3], &versions); err != nil {
			return fmt.Errorf("read the applied versions of schema %q: %w", schemas[i], err)
		}
		set = map[string]bool{}
		for _, v := range versions {
			set[v] = true
		}
		sets[string(row[3])] = set
	}
	s.states[schemas[i]] = postgres.Status{Table: s.table.In(schemas[i]), SchemaExists: string(row[1]) == "t", Found: string(row[2]) == "t", Versions: set}
	return nil
}

// Migrate is what [Migrate] would come to where that is known from what was read: nothing is pending, or nothing is to be
// changed. Otherwise known is false, and the schema has to be locked and asked again.
func (s Schemas) Migrate(files *Files, o Options) (m Result, known bool, err error) {
	status, ok := s.states[o.Schema]
	if !ok {
		return Result{}, false, nil
	}
	m, pending, err := plan(status, files, o)
	if err != nil || o.DryRun || len(pending) == 0 {
		return m, true, err
	}
	return Result{}, false, nil
}
