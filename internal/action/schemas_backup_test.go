package action

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/org/neon-tenants-action/internal/mode/backup"
	"github.com/org/neon-tenants-action/internal/postgres/pgtest"
)

// A schema's backup holds that schema and nothing else, whatever it is called, and is restored into a database of its
// own.
func TestASchemaIsBackedUpAndRestored(t *testing.T) {
	odd := `it's; "odd" * ?.$[a-z]`
	e, v := newEstate(t, "acme", "ACME2", odd), newVault(t)
	e.run(t).counts(t, 3, 0, 0, 0)
	for schema, rows := range map[string]int{"acme": 10, odd: 30} {
		e.do(t, "insert into "+pgtest.Identifier(schema)+".users (email, name) select i || '@x', 'n' from "+
			"generate_series(1, "+strconv.Itoa(rows)+") i")
	}
	e.do(t, "create table public.secrets (i int); insert into public.secrets values (1)")
	for _, format := range []string{"plain", "custom"} {
		o := e.run(t, v.inputs("mode=backup", "backup-format="+format)...)
		o.counts(t, 3, 0, 0, 0)
		if d := detail[backup.Detail](t, o, odd); d.SchemaVersion != "20250101090200" {
			t.Errorf("%+v", d)
		}
		for schema, rows := range map[string]int64{"acme": 10, odd: 30} {
			into := &estate{url: pgtest.Database(t)}
			o := e.run(t, v.inputs("mode=restore",
				"tenants="+strings.NewReplacer("*", `\*`, "?", `\?`, "[", `\[`).Replace(schema), "restore-url="+into.url)...)
			o.counts(t, 1, 0, 0, 0)
			var total int64
			for _, table := range detail[backup.RestoreDetail](t, o, schema).Tables {
				total += table.Rows
			}
			if total != rows+3 { // and three versions
				t.Errorf("%s of %s: %d rows", format, schema, total)
			}
			same(t, "restored", into.relations(t), tables(schema))
		}
		time.Sleep(time.Second) // a backup's key tells seconds apart
	}
	o := e.run(t, v.inputs("mode=backup", "skip-unchanged=true", "pg-dump-args=-t public.secrets")...)
	o.says(t, "skip-unchanged: this source does not know when a tenant was last in use; leave it out, or use "+
		"tenant-source: catalog or neon",
		"pg-dump-args: -t cannot be used: the dump of a schema holds that schema and nothing else")
	o = e.run(t, v.inputs("mode=restore", "tenants=acme", "restore-url="+e.url, "overwrite=true")...)
	o.says(t, "overwrite: would drop everything")
	o = e.run(t, v.inputs("mode=restore", "tenants=acme", "restore-url="+e.url)...)
	o.counts(t, 0, 0, 1, 0)
	o.says(t, "is not empty")
}
