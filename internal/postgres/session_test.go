package postgres_test

import (
	"errors"
	"net/url"
	"regexp"
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
		"transaction, servers in turn": {"transaction", []string{"server_round_robin = 1", "min_pool_size = 3"}, true},
		"statement":                    {"statement", nil, true},
		"session":                      {"session", nil, false},
		"session, options ignored":     {"session", []string{"ignore_startup_parameters = options"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			direct, late := pgtest.Database(t), false
			url := pgtest.PgBouncer(t, direct, c.mode, c.more...)
			const table = "create table if not exists schema_migrations (version varchar(128) primary key)"
			for _, state := range []string{"", "", table, table} {
				late = !late
				pgtest.Do(t, direct, state)
				conn, err := prepared(t, url, postgres.Options{ReadOnly: true, Late: late})
				if errors.As(err, new(*postgres.TransactionPoolerError)) != c.pooled || (err != nil) != c.pooled {
					t.Errorf("got %v", err)
				}
				if err == nil {
					if _, err := conn.Exec(t.Context(), "create table t ()"); !postgres.HasCode(err, "25006") {
						t.Errorf("a write: %v", err)
					}
					conn.Close()
				}
				next, err := connect(t.Context(), url, postgres.Options{})
				if err != nil {
					t.Fatal(err)
				}
				for range 3 { // each of the pool's servers
					servertest.Equal(t, "the next client", settings(t, next)[1], "off")
				}
				next.Close()
			}
		})
	}
}

// A session's settings are not mistaken for a default of the database's. Else its statements would wait for locks for
// ever, and a pooler in transaction mode would not be recognized.
func TestReadOnlyByDefaultBehindPgBouncer(t *testing.T) {
	t.Parallel()
	direct := pgtest.Database(t)
	pgtest.Do(t, direct, `do $$ begin execute format(
		'alter database %I set default_transaction_read_only = on', current_database()); end $$`)
	for mode, pooled := range map[string]bool{"transaction": true, "session": false} {
		url := pgtest.PgBouncer(t, direct, mode, "ignore_startup_parameters = options")
		for _, late := range []bool{false, true} {
			conn, err := prepared(t, url, postgres.Options{ReadOnly: true, LockTimeout: time.Second, Late: late})
			if errors.As(err, new(*postgres.TransactionPoolerError)) != pooled || (err != nil) != pooled {
				t.Errorf("%s: got %v", mode, err)
			}
			if err == nil {
				servertest.Equal(t, mode, settings(t, conn), []string{"neon-tenants-action", "on", "1s"})
				conn.Close()
			}
		}
	}
}

// prepared connects and, if the settings are late, reads the status. The test closes the connection, or its end does.
func prepared(t *testing.T, url string, o postgres.Options) (*postgres.Conn, error) {
	t.Helper()
	conn, err := connect(t.Context(), url, o)
	if err != nil {
		return nil, err
	}
	t.Cleanup(conn.Close)
	if o.Late {
		_, err = postgres.ReadStatus(t.Context(), conn, dbmate("", "schema_migrations"), postgres.NoLock)
	}
	return conn, err
}

// settings are the application's name and those that make a session read-only.
func settings(t *testing.T, conn *postgres.Conn) []string {
	t.Helper()
	answers, err := conn.Results(t.Context(), `select current_setting('application_name'),
		current_setting('default_transaction_read_only'), current_setting('lock_timeout')`)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, value := range answers[0][0] {
		all = append(all, string(value))
	}
	return all
}

// A connection string's own settings stay, but for those that a read-only session has.
func TestReadOnlyWithOtherSettings(t *testing.T) {
	t.Parallel()
	database := pgtest.Database(t)
	for parameters, name := range map[string]string{
		"": "neon-tenants-action",
		"&default_transaction_read_only=off&lock_timeout=7":                          "neon-tenants-action",
		"&Default_Transaction_Read_Only=off&LOCK_TIMEOUT=7":                          "neon-tenants-action",
		"&options=-c%20default_transaction_read_only%3Doff%20-c%20lock_timeout%3D7":  "neon-tenants-action",
		"&application_name=" + url.QueryEscape("a \\ b\t=\r\v'c' -c lock_timeout=1"): "a \\ b?=??'c' -c lock_timeout=1",
		"&target_session_attrs=read-write&application_name=b":                        "b",
		"&application_name=%C3%A9":                                                   "??",
	} {
		conn, err := connect(t.Context(), database+parameters, postgres.Options{ReadOnly: true, LockTimeout: time.Second})
		if err != nil {
			t.Errorf("%s: %v", parameters, err)
			continue
		}
		defer conn.Close()
		got := settings(t, conn)
		got[0] = unprintable.ReplaceAllString(got[0], "?")
		servertest.Equal(t, parameters, got, []string{name, "on", "1s"})
	}
}

// unprintable matches how PostgreSQL before 16, and since, writes a byte in an application's name that it does not
// take.
var unprintable = regexp.MustCompile(`\\x[0-9a-f]{2}`)

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
