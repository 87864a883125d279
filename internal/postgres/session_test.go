package postgres_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/org/neon-tenants-action/internal/postgres"
	"github.com/org/neon-tenants-action/internal/postgres/pgtest"
	"github.com/org/neon-tenants-action/internal/servertest"
)

const advisoryLocks = "select count(*)::text from pg_locks where locktype = 'advisory' " +
	"and database = (select oid from pg_database where datname = current_database())"

// A lock is taken behind a pooler only if the session is the connection's own.
func TestLocksBehindPgBouncer(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		mode   string
		more   []string
		pooled bool
	}{
		"transaction":                  {"transaction", nil, true},
		"transaction, options ignored": {"transaction", []string{"ignore_startup_parameters = options"}, true},
		"transaction, one server":      {"transaction", []string{"default_pool_size = 1"}, true},
		"transaction, servers in turn": {"transaction", []string{"server_round_robin = 1", "min_pool_size = 3"}, true},
		"statement":                    {"statement", nil, true},
		"session":                      {"session", nil, false},
		"session, options ignored":     {"session", []string{"ignore_startup_parameters = options"}, false},
		"session, one server":          {"session", []string{"default_pool_size = 1"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			direct := pgtest.Database(t)
			url := pgtest.PgBouncer(t, direct, c.mode, c.more...)
			rounds := 1
			if c.pooled {
				rounds = 3 // the pool is empty at first
			}
			for round := range 2 * rounds {
				lock := []postgres.Lock{postgres.ExclusiveLock, postgres.SharedLock}[round%2]
				conn, err := connect(t.Context(), url, postgres.Options{})
				if err != nil {
					t.Fatal(err)
				}
				status, err := postgres.ReadStatus(t.Context(), conn, dbmate("", "schema_migrations"), lock)
				locks := pgtest.Ask(t, direct, advisoryLocks)
				var pooler *postgres.TransactionPoolerError
				if pooled := errors.As(err, &pooler); pooled != c.pooled || (err != nil) != c.pooled || status.Locked == c.pooled {
					t.Errorf("locked: %v, %v", status.Locked, err)
				}
				want := "1"
				if c.pooled {
					want = "0"
				}
				servertest.Equal(t, "locks", locks, []string{want})
				conn.Close()
				servertest.WaitFor(t, func() bool { return pgtest.Ask(t, direct, advisoryLocks)[0] == "0" })
			}
		})
	}
}

// A read-only connection sets that for its session. Behind a pooler in transaction mode the setting would reach the
// next client, an application, and refuse its writes.
func TestReadOnlyBehindPgBouncer(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		mode   string
		more   []string
		pooled bool
	}{
		"transaction":                  {"transaction", []string{"default_pool_size = 1"}, true},
		"transaction, options ignored": {"transaction", []string{"ignore_startup_parameters = options"}, true},
		"statement":                    {"statement", nil, true},
		"session":                      {"session", nil, false},
		"session, options ignored":     {"session", []string{"ignore_startup_parameters = options"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := pgtest.PgBouncer(t, pgtest.Database(t), c.mode, c.more...)
			for range 2 {
				conn, err := connect(t.Context(), url, postgres.Options{ReadOnly: true})
				if errors.As(err, new(*postgres.TransactionPoolerError)) != c.pooled || (err != nil) != c.pooled {
					t.Errorf("got %v", err)
				}
				if err == nil {
					if _, err := conn.Exec(t.Context(), "create table t ()"); !postgres.HasCode(err, "25006") {
						t.Errorf("a write: %v", err)
					}
					conn.Close()
				}
				servertest.Equal(t, "the next client", pgtest.Ask(t, url, "show default_transaction_read_only"),
					[]string{"off"})
			}
		})
	}
}

// A read-only connection stays that when its session is reset, as after an error in one of many schemas.
func TestReadOnlyAfterReset(t *testing.T) {
	t.Parallel()
	conn, err := connect(t.Context(), pgtest.Database(t), postgres.Options{ReadOnly: true, LockTimeout: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Exec(t.Context(), "begin; select 1 / 0"); !postgres.HasCode(err, "22012") {
		t.Fatalf("got %v", err)
	}
	conn.Reset(t.Context())
	if _, err := conn.Exec(t.Context(), "create table t ()"); !postgres.HasCode(err, "25006") {
		t.Errorf("a write: %v", err)
	}
	rows, err := conn.Query(t.Context(), "select current_setting('lock_timeout')")
	if err != nil || string(rows.Values[0][0]) != "1s" {
		t.Errorf("lock_timeout %q, error %v", rows.Values, err)
	}
}

// The mark that proves a session's ownership stays when the session is reset, and next to options of the connection
// string's own.
func TestTheMarkOfASession(t *testing.T) {
	t.Parallel()
	for _, options := range []string{"", "&options=-c%20work_mem%3D5MB"} {
		conn, err := connect(t.Context(), pgtest.Database(t)+options, postgres.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		conn.Reset(t.Context())
		const sql = "select length(current_setting('tenants_action.session', true)), current_setting('work_mem')"
		answers, err := conn.Results(t.Context(), sql)
		if err != nil {
			t.Fatal(err)
		}
		servertest.Equal(t, "mark", string(answers[0][0][0]), "26")
		if got := string(answers[0][0][1]); (got == "5MB") != strings.Contains(options, "5MB") {
			t.Errorf("%q: work_mem is %s", options, got)
		}
		status, err := postgres.ReadStatus(t.Context(), conn, dbmate("", "schema_migrations"),
			postgres.ExclusiveLock)
		if err != nil || !status.Locked {
			t.Errorf("locked: %v, %v", status.Locked, err)
		}
	}
}

// What the server says about options of the connection string's own is reported, without the mark.
func TestRefusedOptions(t *testing.T) {
	t.Parallel()
	_, err := connect(t.Context(), pgtest.Database(t)+"&options=-c%20nonsense%3D1", postgres.Options{})
	if err == nil || !strings.Contains(err.Error(), `unrecognized configuration parameter "nonsense"`) {
		t.Errorf("got %v", err)
	}
}
