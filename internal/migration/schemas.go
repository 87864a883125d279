package migration

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/org/neon-tenants-action/internal/postgres"
	"github.com/org/neon-tenants-action/internal/sqltext"
)

// Schemas is what the schemas of one database recorded at one moment.
type Schemas struct {
	table  postgres.Ledger
	states map[string]postgres.Status
}

const (
	// schemasPerTransaction bounds the locks that a transaction holds until its end, one for each table and index that
	// it reads: a server has 6,400 by default.
	schemasPerTransaction = 500
	schemasPerMessage     = 2000 // bounds the memory of an answer
)

// ReadSchemas reads the versions that many schemas record, thousands of schemas in one round trip. It leaves out a
// schema whose table cannot be read: [Migrate] on that schema tells why.
func ReadSchemas(ctx context.Context, c *postgres.Conn, t postgres.Ledger, schemas []string) (Schemas, error) {
	s := Schemas{t, make(map[string]postgres.Status, len(schemas))}
	read := map[string]postgres.Status{} // by their JSON, because most schemas record the same versions
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
				if err := s.add(some, row, read); err != nil {
					return Schemas{}, err
				}
			}
		}
	}
	return s, nil
}

// versionsBlock is a PL/pgSQL block that opens the cursor versions with a row for each schema: its index, whether it
// exists, whether it has the table, and its rows as JSON. These are null if they cannot be read, or if the table has
// other columns than its tool's: [postgres.ReadStatus] checks those. A loop on the server is as fast as a union
// of all schemas, grows linearly with their number, and confines an error to one schema.
const versionsBlock = `
declare
	result refcursor := 'versions';
	r record;
	found boolean[]; recorded boolean[]; texts text[];
	q text; v text;
begin
	for r in select n.nspname, c.oid is not null as has, c.relnatts as columns
		from unnest(array[%s]::text[]) with ordinality u(name, i)
		left join pg_catalog.pg_namespace n on n.nspname = u.name
		left join pg_catalog.pg_class c on c.relnamespace = n.oid and c.relname = %s
			and c.relkind in ('r', 'p', 'v', 'm', 'f')
		order by u.i
	loop
		v := '[]';
		if r.has then
			begin
				v := null;
				q := %[5]s;
				if q is not null then
					execute pg_catalog.format(q, r.nspname, %[2]s) into v;
				end if;
			exception when others then -- a cancel is not among them
				v := null;
			end;
		end if;
		found := found || (r.nspname is not null); recorded := recorded || r.has; texts := texts || v;
	end loop;
	open result for select i + %[3]d, found[i + 1], recorded[i + 1], texts[i + 1],
			(extract(epoch from now()) * 1000000)::bigint
		from pg_catalog.generate_series(0, %[4]d) i;
end`

// versionsQuery is one transaction that returns [versionsBlock]'s rows; the schemas' indexes begin at first. It waits
// 2 s for a schema that is being changed, which is asked alone later. Without hash and merge joins the server looks
// schemas up by index; otherwise each transaction reads the whole catalog of a database with thousands of schemas.
func versionsQuery(t postgres.Ledger, schemas []string, first int) string {
	block := fmt.Sprintf(versionsBlock, sqltext.QuoteLiterals(schemas), sqltext.QuoteLiteral(t.Name), first,
		len(schemas)-1, t.Format.RowsQuery("r.columns"))
	return "begin transaction isolation level read committed; set local lock_timeout = '2s'; " +
		"set local row_security = off; " +
		"set local enable_hashjoin = off; set local enable_mergejoin = off; " +
		"do " + sqltext.QuoteLiteral(block) + "; fetch all from versions; commit"
}

// add adds the status in a row of [versionsQuery]'s. Equal rows share one set.
func (s Schemas) add(schemas []string, row [][]byte, read map[string]postgres.Status) error {
	i, err := strconv.Atoi(string(row[0]))
	if err != nil || i >= len(schemas) {
		return fmt.Errorf("read the applied versions: the server answers for schema %q of %d", row[0], len(schemas))
	}
	if row[3] == nil {
		return nil
	}
	status, ok := read[string(row[3])]
	if !ok {
		status.Table = s.table
		err := status.Read(row[3])
		if table := (*postgres.TableError)(nil); errors.As(err, &table) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read the applied versions of schema %q: %w", schemas[i], err)
		}
		read[string(row[3])] = status
	}
	if status.At, err = postgres.ParseMicros(row[4]); err != nil {
		return err
	}
	status.Table, status.Clock = s.table.In(schemas[i]), time.Now()
	status.SchemaExists, status.Found = string(row[1]) == "t", string(row[2]) == "t"
	s.states[schemas[i]] = status
	return nil
}

// Migrate is the result of [Migrate] if it is known from what was read, because nothing is pending or nothing may be
// changed. Otherwise known is false, and the schema must be locked and read again.
func (s Schemas) Migrate(files *Files, o Options) (r Result, known bool, err error) {
	status, ok := s.states[o.Schema]
	if !ok {
		return Result{}, false, nil
	}
	if o.adopts(status) && !o.DryRun {
		return Result{}, false, nil
	}
	status, recorded, err := adopt(context.Background(), nil, status, files, o) // a dry run's, which asks nobody
	if err != nil {
		return Result{}, true, err
	}
	r, pending, err := plan(status, files, o)
	r = r.withBaseline(recorded, files)
	r.At, r.Clock = status.At, status.Clock
	if err != nil || o.DryRun || len(pending) == 0 {
		return r, true, err
	}
	return Result{}, false, nil
}
