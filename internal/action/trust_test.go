package action

import (
	"net/url"
	"os"
	"path/filepath"
	"testing"

	"github.com/org/neon-tenants-action/internal/postgres/pgtest"
)

// A row of a catalog, and a stored secret, lead to where they say with what they say: neither a variable of the job nor
// a file of its machine adds to them.
func TestStoredConnectionStringsStandAlone(t *testing.T) {
	f, catalog := newFleet(t), catalogDatabase(t)
	plain := pgtest.Database(t)
	cfg := mustConfig(t, plain)
	u, err := url.Parse(plain)
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.User(cfg.User)
	passwordless, authority := u.String(), pgtest.Shared(t).CAFile
	passfile := filepath.Join(t.TempDir(), "pgpass")
	if err := os.WriteFile(passfile, []byte("*:*:*:*:"+cfg.Password+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	rows := map[string]string{
		"good": plain, "passwordless": passwordless, "passfile": passwordless + "&passfile=" + passfile,
		"service": plain + "&service=x", "authority": plain + "&sslrootcert=" + authority,
	}
	askAll(t, catalog, "create table stored (name text, url text)")
	secrets := map[string]string{}
	for name, text := range rows {
		askAll(t, catalog, "insert into stored values ("+pgtest.Literal(name)+", "+pgtest.Literal(text)+")")
		secrets[name+"_DATABASE_URL"] = text
	}
	t.Setenv("PGPASSFILE", passfile)
	t.Setenv("PGOPTIONS", "-c search_path=nowhere")
	for source, inputs := range map[string][]string{
		"catalog": {"database-url=" + catalog + "&sslrootcert=" + authority, "catalog-query=select name, url from stored"},
		"secrets": {"tenant-secrets=" + string(mustJSON(t, secrets))},
	} {
		t.Setenv("PGPASSWORD", cfg.Password)
		t.Setenv("PGSERVICE", "x")
		o := f.run(t, t.Context(), append(inputs, "neon-api-key=", "neon-api-url=", "mode=health-check",
			"tenant-source="+source, "fail-on=unreachable")...)
		o.counts(t, 1, 0, 4, 0)
		o.says(t, "its parameter passfile names a file of this machine", "its parameter service names a file",
			"its parameter sslrootcert names a file", "SSL_CERT_FILE")
		o.hides(t, cfg.Password)
	}
}
