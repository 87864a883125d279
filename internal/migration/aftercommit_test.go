package migration_test

import (
	"context"
	"io"
	"net"
	"net/url"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/org/neon-tenants-action/internal/migration"
	"github.com/org/neon-tenants-action/internal/postgres/pgtest"
	"github.com/org/neon-tenants-action/internal/remedies"
	"github.com/org/neon-tenants-action/internal/servertest"
)

// afterCommits returns a URL for the same database through a proxy. Whenever the server has committed a migration,
// answer says what follows, as if an interrupt had waited for the commit; nil is what the server says.
func afterCommits(t *testing.T, direct string, answer func() *pgproto3.ErrorResponse) string {
	t.Helper()
	direct = withSSLMode(t, direct, "disable")
	u, err := url.Parse(direct)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	target := u.Host
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = client.Close() }()
				server, err := net.Dial("tcp", target)
				if err != nil {
					return
				}
				defer func() { _ = server.Close() }()
				go func() { _, _ = io.Copy(server, client) }()
				relay(client, server, answer)
			}()
		}
	}()
	u.Host = listener.Addr().String()
	return u.String()
}

// relay passes on what a server says until one of both hangs up.
func relay(client, server net.Conn, answer func() *pgproto3.ErrorResponse) {
	from := pgproto3.NewFrontend(server, io.Discard)
	recorded, drop := false, false
	for {
		message, err := from.Receive()
		if err != nil {
			return
		}
		var also *pgproto3.ErrorResponse
		switch m := message.(type) {
		case *pgproto3.CommandComplete:
			recorded = recorded || strings.HasPrefix(string(m.CommandTag), "INSERT")
			if recorded && string(m.CommandTag) == "COMMIT" {
				also = answer()
			}
		case *pgproto3.ReadyForQuery:
			recorded, drop = false, false
		}
		if drop {
			continue
		}
		text, err := message.Encode(nil)
		if also != nil && err == nil {
			drop = true
			text, err = also.Encode(text)
		}
		if err != nil {
			return
		}
		if _, err := client.Write(text); err != nil || also != nil && also.Severity == "FATAL" {
			return
		}
	}
}

// Whatever comes after the commit, the migration is applied and recorded, and nobody is told otherwise.
func TestInterruptedAfterTheCommit(t *testing.T) {
	t.Parallel()
	cancelled := &pgproto3.ErrorResponse{Severity: "ERROR", Code: "57014", Message: "canceling statement"}
	terminated := &pgproto3.ErrorResponse{Severity: "FATAL", Code: "57P01", Message: "terminating connection"}
	a, b := up("create table a ()"), up("create table b ()")
	for name, c := range map[string]struct {
		files   []string
		answers []*pgproto3.ErrorResponse
		applied []string
		failed  string
	}{
		"cancelled": {[]string{"1_a.sql", a, "2_b.sql", b},
			[]*pgproto3.ErrorResponse{cancelled, cancelled}, []string{"1_a.sql", "2_b.sql"}, ""},
		"ended": {[]string{"1_a.sql", a, "2_b.sql", b}, []*pgproto3.ErrorResponse{terminated}, []string{"1_a.sql"},
			"db/migrations/1_a.sql: it is applied and recorded; the session ended after it: terminating connection " +
				"(SQLSTATE 57P01)"},
		"ended after the last": {[]string{"1_a.sql", a}, []*pgproto3.ErrorResponse{terminated}, []string{"1_a.sql"}, ""},
	} {
		for _, watch := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				direct, answers := pgtest.Database(t), c.answers
				proxied := afterCommits(t, direct, func() *pgproto3.ErrorResponse {
					if len(answers) == 0 {
						return nil
					}
					next := answers[0]
					answers = answers[1:]
					return next
				})
				o := options()
				o.Watch = watch
				got, err := migrate(t.Context(), proxied, files(t, c.files...), o)
				if c.failed == "" && err != nil {
					t.Fatal(err)
				}
				if c.failed != "" && (err == nil || err.Error() != c.failed || causeOf(t, err) != migration.SessionEnded ||
					!strings.HasPrefix(remedies.Of(err), "run again")) {
					t.Errorf("got %v; %s", err, remedies.Of(err))
				}
				servertest.Equal(t, "applied", appliedFiles(got), c.applied)
				servertest.Equal(t, "recorded", recorded(t, direct), versionsIn(c.applied))
			})
		}
	}
}

func versionsIn(files []string) (versions []string) {
	for _, f := range files {
		version, _, _ := strings.Cut(f, "_")
		versions = append(versions, version)
	}
	return versions
}

// A run that is cancelled while a migration is committed has applied it, and starts no other.
func TestCancelledWhileItCommits(t *testing.T) {
	t.Parallel()
	direct := pgtest.Database(t)
	ctx, cancel := context.WithCancel(t.Context())
	proxied := afterCommits(t, direct, func() *pgproto3.ErrorResponse {
		cancel()
		return &pgproto3.ErrorResponse{Severity: "ERROR", Code: "57014", Message: "canceling statement"}
	})
	m := files(t, "1_a.sql", up("create table a ()"), "2_b.sql", up("create table b ()"))
	got, err := migrate(ctx, proxied, m, options())
	if err == nil || !strings.Contains(err.Error(), "2_b.sql was not started") {
		t.Errorf("got %v", err)
	}
	servertest.Equal(t, "applied", appliedFiles(got), []string{"1_a.sql"})
	servertest.Equal(t, "recorded", recorded(t, direct), []string{"1"})
}
