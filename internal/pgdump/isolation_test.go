package pgdump_test

import (
	"bytes"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/org/neon-tenants-action/internal/compress"
	"github.com/org/neon-tenants-action/internal/pgdump"
	"github.com/org/neon-tenants-action/internal/postgres"
	"github.com/org/neon-tenants-action/internal/postgres/pgtest"
)

// decoy listens where nobody is to connect to, and counts who does.
func decoy(t *testing.T) (port string, visits *atomic.Int32) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	visits = &atomic.Int32{}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			visits.Add(1)
			_ = conn.Close()
		}
	}()
	t.Cleanup(func() {
		_ = l.Close()
		<-done
	})
	return strconv.Itoa(l.Addr().(*net.TCPAddr).Port), visits
}

// hostileJob gives this process a home directory and variables by which every client of PostgreSQL would connect to the
// decoy, unencrypted, or log in with the password.
func hostileJob(t *testing.T, port, password string) {
	t.Helper()
	home := t.TempDir()
	escaped := strings.NewReplacer(`\`, `\\`, ":", `\:`).Replace(password)
	service := "[elsewhere]\nhost=127.0.0.1\nport=" + port + "\nsslmode=disable\n"
	if err := os.Mkdir(filepath.Join(home, ".postgresql"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		".pgpass": "*:*:*:*:" + escaped + "\n", ".pg_service.conf": service, "pg_service.conf": service,
		".postgresql/root.crt": "no certificate", ".postgresql/postgresql.crt": "none", ".postgresql/postgresql.key": "none",
		".postgresql/root.crl": "none",
	} {
		if err := os.WriteFile(filepath.Join(home, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, value := range map[string]string{
		"HOME": home, "PGSYSCONFDIR": home, "PGSERVICEFILE": home + "/.pg_service.conf", "PGSERVICE": "elsewhere",
		"PGPASSFILE": home + "/.pgpass", "PGPASSWORD": password, "PGHOST": "127.0.0.1", "PGHOSTADDR": "127.0.0.1",
		"PGPORT": port, "PGSSLMODE": "disable", "PGUSER": "nobody", "PGDATABASE": "nowhere", "PGCHANNELBINDING": "disable",
		"PGSSLROOTCERT": home + "/.postgresql/root.crt", "PGSSLCERT": home + "/.postgresql/postgresql.crt",
		"PGSSLKEY": home + "/.postgresql/postgresql.key", "PGOPTIONS": "-c no.such=1 -c search_path=nowhere",
		"PGREQUIREAUTH": "none", "PGTARGETSESSIONATTRS": "standby", "PGREQUIREPEER": "nobody", "PGCLIENTENCODING": "nonsense",
	} {
		t.Setenv(name, value)
	}
}

// Neither variables nor files of the job change what is dumped, from where, or with which password.
func TestTheJobsEnvironmentReachesNoDump(t *testing.T) {
	direct := pgtest.Database(t)
	pgtest.Do(t, direct, "create table mine (i int); insert into mine values (4711)")
	o := dumpOptions(t)
	o.Format, o.Compression = pgdump.Custom, compress.None
	u, err := url.Parse(direct)
	if err != nil {
		t.Fatal(err)
	}
	password, _ := u.User.Password()
	port, visits := decoy(t)
	hostileJob(t, port, password)

	var out bytes.Buffer
	if _, err := dumpURL(t.Context(), direct, o, &out); err != nil {
		t.Fatal(err)
	}
	empty := pgtest.Database(t)
	ro := pgdump.RestoreOptions{Major: o.Major, Root: o.Root, Format: o.Format}
	if _, err := restoreURL(t.Context(), empty, ro, &out); err != nil {
		t.Fatal(err)
	}
	o.Format = pgdump.Plain
	if _, err := dumpURL(t.Context(), empty, o, &out); err != nil || !strings.Contains(out.String(), "4711") {
		t.Errorf("of what was restored: %v\n%s", err, out.String())
	}

	u.User = url.User(u.User.Username())
	if _, err := connect(t.Context(), u.String(), postgres.Options{}); err == nil {
		t.Error("the job's password logs in")
	}
	if _, err := dumpURL(t.Context(), u.String(), o, io.Discard); err == nil ||
		!strings.Contains(err.Error(), "no password supplied") {
		t.Errorf("without a password: %v", err)
	}
	if n := visits.Load(); n > 0 {
		t.Errorf("%d connections to the job's PGHOST", n)
	}
}
