package postgres

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"go/build"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/org/neon-tenants-action/internal/servertest"
)

// libpqVariables are those that libpq of PostgreSQL 18 reads (https://www.postgresql.org/docs/18/libpq-envars.html),
// with values that would change a connection.
var libpqVariables = map[string]string{
	"PGHOST": "attacker.example.com", "PGHOSTADDR": "203.0.113.1", "PGPORT": "6666", "PGDATABASE": "elsewhere",
	"PGUSER": "somebody", "PGPASSWORD": "the job's own", "PGREQUIREAUTH": "password", "PGCHANNELBINDING": "disable",
	"PGSERVICE": "elsewhere", "PGOPTIONS": "-c search_path=elsewhere", "PGAPPNAME": "elsewhere", "PGSSLMODE": "disable",
	"PGREQUIRESSL": "0", "PGSSLNEGOTIATION": "direct", "PGSSLCOMPRESSION": "1", "PGSSLCERTMODE": "disable",
	"PGSSLSNI": "0", "PGREQUIREPEER": "somebody", "PGSSLMINPROTOCOLVERSION": "TLSv1", "PGSSLMAXPROTOCOLVERSION": "TLSv1",
	"PGGSSENCMODE": "prefer", "PGKRBSRVNAME": "elsewhere", "PGGSSLIB": "gssapi", "PGGSSDELEGATION": "1",
	"PGCONNECT_TIMEOUT": "1", "PGCLIENTENCODING": "LATIN1", "PGTARGETSESSIONATTRS": "read-only",
	"PGLOADBALANCEHOSTS": "random", "PGMINPROTOCOLVERSION": "3.2", "PGMAXPROTOCOLVERSION": "3.2",
	"PGDATESTYLE": "German", "PGTZ": "Asia/Tokyo", "PGGEQO": "off", "PGSYSCONFDIR": "HOME", "PGLOCALEDIR": "HOME",
	"PGSSLPASSWORD": "secret", "PGSSLCERT": "HOME/.postgresql/postgresql.crt",
	"PGSSLKEY": "HOME/.postgresql/postgresql.key", "PGSSLROOTCERT": "HOME/.postgresql/root.crt",
	"PGSSLCRL": "HOME/.postgresql/root.crl", "PGSSLCRLDIR": "HOME/.postgresql", "PGSSLKEYLOGFILE": "HOME/keys",
	"PGPASSFILE": "HOME/.pgpass", "PGSERVICEFILE": "HOME/.pg_service.conf", "PGOAUTHDEBUG": "UNSAFE",
}

// hostileJob gives the process a home directory with every file that a client of PostgreSQL looks for in one, and all
// variables.
func hostileJob(t *testing.T) {
	t.Helper()
	home := t.TempDir()
	if err := os.Mkdir(filepath.Join(home, ".postgresql"), 0o700); err != nil {
		t.Fatal(err)
	}
	at := func(name string) string { return filepath.Join(home, name) }
	certificates := servertest.Certificates{
		Authority: at(".postgresql/root.crt"), Server: at(".postgresql/postgresql.crt"),
		Key: at(".postgresql/postgresql.key"),
	}
	if err := certificates.Write(); err != nil {
		t.Fatal(err)
	}
	service := "[elsewhere]\nhost=attacker.example.com\nsslmode=disable\nuser=somebody\npassword=theirs\n"
	for name, text := range map[string]string{
		".pgpass": "*:*:*:*:the job's own\n", ".pg_service.conf": service, "pg_service.conf": service,
	} {
		if err := os.WriteFile(at(name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("HOME", home)
	for name, value := range libpqVariables {
		t.Setenv(name, strings.ReplaceAll(value, "HOME", home))
	}
}

// sameConfig compares configurations in every field but functions, of which it compares whether there is one.
var sameConfig = cmp.Options{
	cmpopts.IgnoreUnexported(pgconn.Config{}, tls.Config{}),
	cmp.Comparer(func(a, b *x509.CertPool) bool { return a.Equal(b) }),
	cmp.FilterPath(func(p cmp.Path) bool { return p.Last().Type() != nil && p.Last().Type().Kind() == reflect.Func },
		cmp.Comparer(func(a, b any) bool { return reflect.ValueOf(a).IsNil() == reflect.ValueOf(b).IsNil() })),
}

// Nothing but its text decides what a connection string leads to.
func TestTheJobsEnvironmentReachesNoConnection(t *testing.T) {
	texts := []string{
		"postgres://u@localhost", "postgres://u:p@localhost/", "postgres://u@localhost:5433/db",
		"postgres://u:p@db.example.com/db",
		"postgres://u@db.example.com/db", "postgres://u:p@db.example.com/db?sslmode=require&channel_binding=require",
		"postgres://u:p@10.0.0.1,10.0.0.2/db", "postgres://u:p@10.0.0.1,10.0.0.2:5433/db?sslmode=prefer",
		"postgres://localhost/db?user=u&password=p", "postgres:///db?host=/var/run/postgresql&user=u",
		"postgres://u@localhost/?dbname=db&port=", "postgres://u:p@localhost:/?database=db&host=10.0.0.1,10.0.0.2",
		"postgres://u:p@localhost/db?options=-c%20a.b%3D1&application_name=x&timezone=UTC&connect_timeout=3",
		"postgres://u:p@localhost/db?sslmode=require&sslsni=0", "postgres://u:p@localhost/db?sslmode=verify-ca",
		"postgres://u:p@localhost/db?sslmode=verify-full&sslrootcert=system", "postgres://u:@localhost/db?sslmode=allow",
	}
	clean := t.TempDir()
	t.Setenv("HOME", clean)
	for name := range libpqVariables {
		t.Setenv(name, "") // restores it in the end
		if err := os.Unsetenv(name); err != nil {
			t.Fatal(err)
		}
	}
	var want []*pgconn.Config
	for _, text := range texts {
		target, err := ParseTrusted(text, false)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		want = append(want, target.Config())
	}
	hostileJob(t)
	for i, text := range texts {
		t.Setenv("PGSERVICE", "elsewhere") // parsing removes it
		target, err := ParseTrusted(text, false)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if diff := cmp.Diff(want[i], target.Config(), sameConfig); diff != "" {
			t.Errorf("%s (-without +with the job's environment):\n%s", text, diff)
		}
		other, err := target.At("other")
		if err != nil || other.Database() != "other" || other.Config().Password != want[i].Password {
			t.Errorf("%s: another database is %v, %v", text, other, err)
		}
	}
}

// TestEveryVariableOfPgxIsKnown fails if an update of pgx reads a variable that the test above does not set.
func TestEveryVariableOfPgxIsKnown(t *testing.T) {
	pkg, err := build.Import("github.com/jackc/pgx/v5/pgconn", ".", build.FindOnly)
	if err != nil {
		t.Skip("the source of pgx cannot be found: ", err)
	}
	files, err := filepath.Glob(filepath.Join(pkg.Dir, "*.go"))
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	variable := regexp.MustCompile(`"(PG[A-Z_]+)"`)
	found := 0
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range variable.FindAllSubmatch(text, -1) {
			found++
			if _, known := libpqVariables[string(m[1])]; !known {
				t.Errorf("%s reads %s", filepath.Base(file), m[1])
			}
		}
	}
	if found < 20 {
		t.Errorf("found only %d variables", found)
	}
}

func TestFilesThatAConnectionStringMayName(t *testing.T) {
	home := t.TempDir()
	files := servertest.Certificates{
		Authority: filepath.Join(home, "ca.pem"), Server: filepath.Join(home, "client.pem"),
		Key: filepath.Join(home, "client.key"),
	}
	if err := files.Write(); err != nil {
		t.Fatal(err)
	}
	escaped := url.QueryEscape
	for query, by := range map[string][]string{
		"service=x":                               nil,
		"service=":                                nil,
		"servicefile=" + escaped(home):            nil,
		"service=x&servicefile=" + escaped(home):  nil,
		"passfile=" + escaped(home):               nil,
		"sslcrl=x":                                nil,
		"sslcrldir=x":                             nil,
		"sslkeylogfile=x":                         nil,
		"password=x&service=x":                    nil,
		"sslrootcert=" + escaped(files.Authority): {"trusted"},
		"sslcert=" + escaped(files.Server) + "&sslkey=" + escaped(files.Key): {"trusted"},
		"sslrootcert=system":                 {"trusted", "any"},
		"sslrootcert=&sslcert=&sslkey=":      {"trusted", "any"},
		"sslmode=verify-full&sslrootcert=./": nil,
	} {
		for who, parse := range map[string]func(string, bool) (Target, error){"trusted": ParseTrusted, "any": ParseTarget} {
			for _, insecure := range []bool{false, true} {
				_, err := parse("postgres://u:p@localhost/db?"+query, insecure)
				var refused *URLError
				if (err == nil) != slices.Contains(by, who) || err != nil && (!errors.As(err, &refused) || refused.Remedy() == "") {
					t.Errorf("%s, %s, insecure %t: %v", query, who, insecure, err)
				}
			}
		}
	}
}

func TestIncompleteURLsAreRefused(t *testing.T) {
	for text, problem := range map[string]string{
		"postgres://localhost/db": "it names no user", "postgres://:p@localhost/db": "it names no user",
		"postgres:///db": "it names no server", "postgres://u:p@/db": "it names no server",
		"postgres://u:p@h1,,h2/db": "it names no server", "postgres://u:p@localhost/db?host=": "it names no server",
		"postgres://u:p@localhost:port/db": "its host or port is not valid", "postgres://u:p@[::1/db": "its host or port",
		"postgres://u:hush":                                           "its host or port is not valid",
		"postgres://u:p@localhost:70000/db":                           "its port, or the value of a parameter, is none",
		"postgres://u:p@localhost/db?target_session_attrs=x":          "its port, or the value of a parameter, is none",
		"postgres://u:p@localhost/db?a=1&a=2":                         "a parameter is given more than once",
		"postgres://u:p@localhost/db?sslmode=require&sslmode=disable": "more than once: sslmode",
	} {
		_, err := ParseTarget(text, false)
		if err == nil || !strings.Contains(err.Error(), problem) {
			t.Errorf("%s: %v, want %s", text, err, problem)
		}
	}
}
