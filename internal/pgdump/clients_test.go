package pgdump_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/org/neon-tenants-action/internal/pgdump"
	"github.com/org/neon-tenants-action/internal/postgres"
	"github.com/org/neon-tenants-action/internal/postgres/pgtest"
	"github.com/org/neon-tenants-action/internal/remedies"
	"github.com/org/neon-tenants-action/internal/servertest"
)

// fakePrograms returns a root whose programs of PostgreSQL 17 are a shell script.
func fakePrograms(t testing.TB, body string) string {
	t.Helper()
	root := t.TempDir()
	bin := filepath.Join(root, "17", "bin")
	if err := os.MkdirAll(bin, 0o700); err != nil {
		t.Fatal(err)
	}
	script := "#!/bin/sh\n[ \"$1\" = --version ] && echo 'pg_dump (PostgreSQL) 17.6 (Debian 17.6-1)' && exit\n" + body
	for _, name := range []string{"pg_dump", "pg_restore"} {
		if err := os.WriteFile(filepath.Join(bin, name), []byte(script), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

const marker = "\n-- PostgreSQL database dump complete\n"

// printMarker is the shell command that prints the marker.
var printMarker = "printf '" + strings.ReplaceAll(marker, "\n", `\n`) + "'"

// received returns the environment and the arguments that pg_dump receives.
func received(t testing.TB, url string, insecure bool, o pgdump.DumpOptions) (map[string]string, []string) {
	t.Helper()
	o.Major, o.Root = 17, fakePrograms(t,
		`tr '\0' '\n' </proc/$$/environ; echo ARGUMENTS; printf '%s\n' "$@"; `+printMarker)
	var out bytes.Buffer
	target, err := postgres.ParseTrusted(url, insecure)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := pgdump.Dump(t.Context(), target, o, &out); err != nil {
		t.Fatal(err)
	}
	environment, rest, _ := strings.Cut(out.String(), "ARGUMENTS\n")
	arguments, _, _ := strings.Cut(rest, "\n\n")
	env := map[string]string{}
	for line := range strings.Lines(environment) {
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
		env[name] = value
	}
	return env, strings.Split(arguments, "\n")
}

func TestEnvironmentAndArguments(t *testing.T) {
	for name, value := range map[string]string{
		"ACTIONS_ID_TOKEN_REQUEST_TOKEN": "oidc", "INPUT_NEON-API-KEY": "key", "GITHUB_TOKEN": "token",
		"AWS_SECRET_ACCESS_KEY": "aws", "LD_PRELOAD": "", "PGSERVICE": "x", "PGPASSFILE": "/nonexistent",
		"PGSSLMODE": "disable", "PGREQUIREAUTH": "password", "PGKRBSRVNAME": "x", "PGSSLPASSWORD": "x", "PGPASSWORD": "x",
	} {
		t.Setenv(name, value)
	}
	const nowhere = "/dev/null/none"
	authority := filepath.Join(t.TempDir(), "ca.pem")
	files := servertest.Certificates{Authority: authority, Server: authority + ".server", Key: authority + ".key"}
	if err := files.Write(); err != nil {
		t.Fatal(err)
	}
	t.Setenv("SSL_CERT_FILE", authority)
	base := map[string]string{
		"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "HOME": nowhere, "PGGSSENCMODE": "disable",
		"PGSYSCONFDIR": nowhere, "PGSERVICEFILE": nowhere, "PGPASSFILE": nowhere, "PGSSLROOTCERT": nowhere,
		"PGSSLCERT": nowhere, "PGSSLKEY": nowhere, "PGSSLCRL": nowhere,
		"PGCONNECT_TIMEOUT": "15", "PGAPPNAME": "neon-tenants-action",
		"PGOPTIONS": "-c client_connection_check_interval=2s",
	}
	for name, c := range map[string]struct {
		url      string
		insecure bool
		want     map[string]string
	}{
		"as Neon gives it": {
			url: "postgresql://own%20er:p%40ss%3D'x@ep-a.aws.neon.tech/neon%20db" +
				"?sslmode=require&channel_binding=require",
			want: map[string]string{
				"PGHOST": "ep-a.aws.neon.tech", "PGPORT": "5432", "PGUSER": "own er", "PGPASSWORD": "p@ss='x",
				"PGDATABASE": "neon db", "PGSSLMODE": "verify-full", "PGSSLROOTCERT": authority,
				"PGCHANNELBINDING": "require",
			},
		},
		"a public host, insecure": {
			url: "postgres://u:p@db.example.com/d?sslmode=disable", insecure: true,
			want: map[string]string{
				"PGHOST": "db.example.com", "PGPORT": "5432", "PGUSER": "u", "PGPASSWORD": "p", "PGDATABASE": "d",
				"PGSSLMODE": "disable",
			},
		},
		"a private host": {
			url: "postgres://u:p@127.0.0.1:6000/d?sslmode=disable",
			want: map[string]string{
				"PGHOST": "127.0.0.1", "PGPORT": "6000", "PGUSER": "u", "PGPASSWORD": "p", "PGDATABASE": "d",
				"PGSSLMODE": "disable",
			},
		},
		"JDBC's ssl=true, and no sslmode": {
			url: "postgres://u:p@127.0.0.1/?ssl=true&require_auth=scram-sha-256",
			want: map[string]string{
				"PGHOST": "127.0.0.1", "PGPORT": "5432", "PGUSER": "u", "PGPASSWORD": "p",
				"PGSSLMODE": "require", "PGREQUIREAUTH": "scram-sha-256",
			},
		},
		"several servers, one by its socket": {
			url: "postgres://u:p@x/d?host=/run/a,10.0.0.1,10.0.0.2&port=1,2,3&sslrootcert=" + authority,
			want: map[string]string{
				"PGHOST": "/run/a,10.0.0.1,10.0.0.2", "PGPORT": "1,2,3", "PGUSER": "u", "PGPASSWORD": "p", "PGDATABASE": "d",
				"PGSSLMODE": "prefer", "PGSSLROOTCERT": authority,
			},
		},
		"other parameters": {
			url: "postgres://u:p@127.0.0.1/d?sslmode=verify-full&sslrootcert=system&application_name=x" +
				"&search_path=a%5Cb&options=endpoint%3Dep-a&pgbouncer=true&client_encoding=LATIN1",
			want: map[string]string{
				"PGHOST": "127.0.0.1", "PGPORT": "5432", "PGUSER": "u", "PGPASSWORD": "p", "PGDATABASE": "d",
				"PGSSLMODE": "verify-full", "PGSSLROOTCERT": authority, "PGAPPNAME": "x",
				"PGOPTIONS": `endpoint=ep-a -c search_path=a\\b -c client_connection_check_interval=2s`,
			},
		},
		"parameters of libpq that pgx does not know": {
			url: "postgres://u:p@h,i/d?sslmode=require&hostaddr=10.0.0.1,10.0.0.2&fallback_application_name=x" +
				"&ssl_min_protocol_version=TLSv1.3&gssencmode=prefer&keepalives_idle=1&keepalives=0&tcp_user_timeout=1" +
				"&load_balance_hosts=random&replication=false&requirepeer=a&scram_client_key=secret&sslcompression=1&tty=x",
			want: map[string]string{
				"PGHOST": "h,i", "PGHOSTADDR": "10.0.0.1,10.0.0.2", "PGPORT": "5432,5432", "PGUSER": "u", "PGPASSWORD": "p",
				"PGDATABASE": "d", "PGSSLMODE": "require", "PGAPPNAME": "x", "PGSSLMINPROTOCOLVERSION": "TLSv1.3",
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			env, args := received(t, c.url, c.insecure, pgdump.DumpOptions{Args: []string{"--exclude-table=a b"}})
			for key, value := range base {
				if _, set := c.want[key]; !set {
					c.want[key] = value
				}
			}
			delete(env, "PWD") // the shell's own
			delete(env, "OLDPWD")
			servertest.Equal(t, "environment", env, c.want)
			servertest.Equal(t, "arguments", args, []string{
				"--no-owner", "--no-privileges", "--no-password", "--lock-wait-timeout=60s",
				"--dbname=keepalives_idle=15 keepalives_interval=5 keepalives_count=4 tcp_user_timeout=60000",
				"--format=plain", "--exclude-table=a b",
			})
		})
	}

	o := pgdump.DumpOptions{Major: 17, Root: fakePrograms(t, "")}
	_, err := dumpURL(t.Context(), "postgres://u:p@db.example.com/d?sslmode=disable", o, io.Discard)
	if plaintext := (*postgres.PlaintextError)(nil); !errors.As(err, &plaintext) {
		t.Errorf("sslmode=disable: got %v", err)
	}
	_, err = dumpURL(t.Context(), "postgres://u:p@10.0.0.1/d?sslpassword=x", o, io.Discard)
	if refused := (*postgres.URLError)(nil); !errors.As(err, &refused) {
		t.Errorf("sslpassword: got %v", err)
	}
}

// A dump is refused if pg_dump, here a fake one, misbehaves.
func TestDumpVerifiesPgDump(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ script, phrase string }{
		"no marker":            {"echo data", "lack the line"},
		"nothing at all":       {"exit 0", "lack the line"},
		"marker, then more":    {printMarker + "; head -c 600 /dev/zero", "lack the line"},
		"marker, then failure": {printMarker + "; echo 'pg_dump: error: no' >&2; exit 1", "exit status 1: no"},
		"the password in a message": {
			`echo "pg_dump: error: $PGPASSWORD $PGHOST" >&2; exit 1`, "exit status 1: *** db",
		},
		"much on stderr": {
			`for i in $(seq 20000); do echo "pg_dump: warning: $i" >&2; done; echo 'pg_dump: error: last' >&2; exit 1`,
			"exit status 1: last",
		},
		"a long query": { // as pg_dump's, which locks many tables with one statement
			`echo 'pg_dump: error: query failed: ERROR:  out of shared memory' >&2; echo 'HINT:  Increase it.' >&2
			printf 'pg_dump: detail: Query was: LOCK TABLE %s' "$(seq -s , 20000)" >&2; exit 1`,
			"exit status 1: query failed: ERROR:  out of shared memory; HINT:  Increase it.; Query was: LOCK TABLE 1,2,3",
		},
		"a newer server": {
			"echo 'pg_dump: error: aborting because of server version mismatch' >&2; exit 1", "version mismatch",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := pgdump.DumpOptions{Major: 17, Root: fakePrograms(t, c.script)}
			_, err := dumpURL(t.Context(), "postgres://u:p%40ss@db/d", o, io.Discard)
			var failure *pgdump.ProgramError
			if !errors.As(err, &failure) || !strings.Contains(err.Error(), c.phrase) ||
				strings.Contains(err.Error(), "p@ss") || len(failure.Output) > 20<<10 {
				t.Fatalf("got %v", err)
			}
		})
	}
}

func TestDumpIsRefusedByTheServer(t *testing.T) {
	t.Parallel()
	s := pgtest.Shared(t)
	reader := "reader_" + strings.ToLower(t.Name())
	pgtest.Do(t, s.URL("postgres"), "create role "+reader+" login password 'x'")
	t.Cleanup(func() { _ = s.Exec(context.Background(), "postgres", "drop role "+reader) })
	direct := pgtest.Database(t)
	pgtest.Do(t, direct, "create table private (i int)")
	o := dumpOptions(t)
	database := strings.Split(direct[strings.LastIndexByte(direct, '/')+1:], "?")[0]
	for name, c := range map[string]struct{ url, phrase, remedy string }{
		"database": {s.URL("nowhere"), `database "nowhere" does not exist`, "database-name"},
		"password": {
			s.TenantURL("postgres", "wrong pass", "postgres"), "password authentication failed", "password",
		},
		"privileges": {s.TenantURL(reader, "x", database), "permission denied", "pg_read_all_data"},
		"authority": {
			s.URL("postgres") + "&sslrootcert=" + filepath.Join(t.TempDir(), "none.pem"),
			"none.pem", "",
		},
	} {
		var out bytes.Buffer
		_, err := dumpURL(t.Context(), c.url, o, &out)
		if err == nil || !strings.Contains(err.Error(), c.phrase) || strings.Contains(err.Error(), "wrong pass") {
			t.Errorf("%s: got %v", name, err)
			continue
		}
		if remedy := remedies.Of(err); remedy == "" || !strings.Contains(remedy, c.remedy) {
			t.Errorf("%s: %v has the remedy %q", name, err, remedy)
		}
	}
}

// libpq verifies the server as pgx does.
func TestDumpVerifiesTheServer(t *testing.T) {
	s := pgtest.Shared(t)
	o := dumpOptions(t)
	verified := strings.Replace(s.URL("postgres"), "sslmode=require", "sslmode=verify-full", 1)
	if _, err := dumpURL(t.Context(), verified+"&sslrootcert="+s.CAFile, o, io.Discard); err != nil {
		t.Error(err)
	}
	t.Setenv("SSL_CERT_FILE", s.CAFile)
	if _, err := dumpURL(t.Context(), verified, o, io.Discard); err != nil {
		t.Error(err)
	}
	other, err := pgtest.Start(t.Context(), pgtest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = other.Stop() })
	t.Setenv("SSL_CERT_FILE", other.CertFile()) // not its authority, which has the same name and so confuses OpenSSL
	_, err = dumpURL(t.Context(), verified, o, io.Discard)
	var failure *pgdump.ProgramError
	if !errors.As(err, &failure) || !strings.Contains(remedies.Of(err), "certificate") {
		t.Errorf("got %v", err)
	}
}

func TestMissingMajor(t *testing.T) {
	t.Parallel()
	_, err := pgdump.FindClients(t.Context(), fakePrograms(t, ""), 14)
	var missing *pgdump.NoClientsError
	if !errors.As(err, &missing) {
		t.Fatalf("got %v", err)
	}
	text := err.Error()
	if !strings.HasPrefix(text, "there are no PostgreSQL 14 client programs here (") ||
		!strings.HasSuffix(text, "/14/bin/pg_dump is missing), only of 17") {
		t.Errorf("got %s", text)
	}
	for _, word := range []string{`PG_CLIENTS="17 14"`, "PG_REPO=pgdg", "postgresql-client-14"} {
		if remedy := remedies.Of(err); !strings.Contains(remedy, word) {
			t.Errorf("no %s in %s", word, remedy)
		}
	}
}

func TestCheckDumpArgs(t *testing.T) {
	t.Parallel()
	for arguments, refused := range map[string]bool{
		"": false, "--exclude-table=a --schema-only": false, "-T a*": false, "-n x -N y": false, "-sx": false,
		"--exclude-schema x": false, "-Ta": false, "-EUTF8": false, "--no-comments --no-publications": false,
		"--enable-row-security -O": false, "-v": false, "--column-inserts": false, "--if-exists -c": false,
		"-tf": false, "-t -f": false, "--table -f": false, // names of tables
		"--unknown -f": true, "-q -f x": true, "-qf": true, "--strict-names database": true,

		"-f x": true, "-fx": true, "--file=x": true, "--file x": true, "--fi x": true, "-Fc": true, "-sFc": true,
		"--format c": true, "--form=c": true, "-d x": true, "--dbname=x": true, "-h x": true, "-p 1": true,
		"-U x": true,
		"-W":   true, "--password": true, "-j2": true, "-Z0": true, "--compress=0": true, "-C": true, "--create": true,
		"--version": true, "-V": true, "--help": true, "-?": true, "database": true, "-T a database": true,
		"-- x": true, "-s -f x": true,
	} {
		err := pgdump.CheckArgs(strings.Fields(arguments))
		var wrong *pgdump.ArgumentError
		if got := errors.As(err, &wrong) && remedies.Of(err) != ""; got != refused || (err != nil) != refused {
			t.Errorf("%q: got %v", arguments, err)
		}
	}
}
