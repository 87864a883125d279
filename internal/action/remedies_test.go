package action

import (
	"net/url"
	"strings"
	"testing"

	"github.com/org/neon-tenants-action/internal/postgres/pgtest"
)

// Wherever an adapter's error enters a run, the user reads a remedy that names the input.
func TestRemediesNameTheInput(t *testing.T) {
	e, v := newEstate(t, "acme", "ordered"), newVault(t)
	e.run(t).counts(t, 2, 0, 0, 0)
	// acme's record is no longer dbmate's, and ordered lacks its lowest version.
	e.do(t, "alter table acme.schema_migrations rename column version to v; delete from ordered.schema_migrations "+
		"where version = (select min(version) from ordered.schema_migrations)")
	nowhere, err := url.Parse(e.url)
	if err != nil {
		t.Fatal(err)
	}
	// pg_dump may not read all of ordered.
	database := strings.TrimPrefix(nowhere.Path, "/")
	if err := pgtest.Shared(t).Exec(t.Context(), database, "alter table ordered.users owner to postgres"); err != nil {
		t.Fatal(err)
	}
	nowhere.Path = "/nowhere"
	const (
		plaintext = "postgresql://u:p@db.example.com/d?sslmode=disable"
		noRecord  = "or name another with migrations-table, which is then every tenant's"
		unknown   = "correct pg-dump-args: this major's pg_dump has no such option"
	)
	for name, c := range map[string]struct {
		inputs []string
		says   []string
	}{
		"database-url": {
			[]string{"database-url=" + plaintext},
			[]string{"database-url: ", "allow-insecure: true"},
		},
		"catalog-url": {
			[]string{"catalog-url=" + plaintext},
			[]string{"catalog-url: ", "allow-insecure: true"},
		},
		"restore-url": {
			v.inputs("mode=restore", "tenants=acme", "restore-url="+plaintext),
			[]string{"restore-url: ", "allow-insecure: true"},
		},
		"pg-dump-args": {
			v.inputs("mode=backup", "pg-dump-args=-Fc"),
			[]string{"pg-dump-args: -F cannot be used", "set backup-format"},
		},
		"connecting":    {[]string{"database-url=" + nowhere.String()}, []string{"correct database-name"}},
		"listing":       {[]string{"schema-tracker=nowhere"}, []string{"name the right table with schema-tracker"}},
		"opening":       {v.inputs("mode=backup", "s3-bucket=nowhere"), []string{"check s3-bucket"}},
		"migrate":       {[]string{"tenants=acme"}, []string{noRecord}},
		"strict order":  {[]string{"tenants=ordered", "strict-order=true"}, []string{"set strict-order: false"}},
		"health-check":  {[]string{"mode=health-check", "tenants=acme"}, []string{noRecord}},
		"backup":        {v.inputs("mode=backup", "tenants=acme", "pg-dump-args=--nonsense"), []string{unknown}},
		"create-tenant": {create("acme"), []string{noRecord + "; then run again"}},
		"drop-tenant": {
			v.inputs(drop("ordered")...),
			[]string{"the role may not read everything in the database: ", "--exclude-schema=…; if its data"},
		},
		"recording": {
			[]string{"tenants=acme", "catalog-url=" + pgtest.Shared(t).URL("nowhere")},
			[]string{"nothing is recorded in the catalog", "correct database-name"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			e.run(t, c.inputs...).says(t, c.says...)
		})
	}
}
