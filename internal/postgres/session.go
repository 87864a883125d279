package postgres

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/org/neon-tenants-action/internal/sqltext"
)

// A session's lock and settings are worth something only in a session that is the connection's own. A pooler in
// transaction mode (PgBouncer, Neon's pooled hosts, Supabase's port 6543) runs each message in whichever server session
// is free. The lock would stay there when the connection has long gone, and the next client, an application, would find
// its transactions read-only or its search_path empty.
//
// The proof is a setting in the startup message: a server session that has it was started for this connection, because
// poolers refuse or drop such a setting. It costs nothing, as the message that takes the lock can check it first. The
// process id in the startup's answer proves nothing: poolers make one up, but so does Neon's proxy, in front of
// sessions that are the client's own.

// sessionMark is the name of the setting.
const sessionMark = "tenants_action.session"

// mark adds a new mark to the settings of the startup message, and those that the options ask for, unless they would
// decide which of several servers is taken (target_session_attrs=read-write).
func (c *Conn) mark(cfg *pgconn.Config, o Options) {
	c.session, c.unmarked = rand.Text(), maps.Clone(cfg.RuntimeParams)
	c.readOnly, c.begins = o.readOnly(cfg), cfg.ValidateConnect == nil
	if c.begins {
		for _, s := range c.readOnly {
			maps.DeleteFunc(cfg.RuntimeParams, func(name, _ string) bool { // it would override the option
				return strings.EqualFold(name, s[0])
			})
			addOption(cfg, s[0]+"="+optionEscape.Replace(s[1]))
		}
	}
	addOption(cfg, sessionMark+"="+c.session)
}

// unmark removes them, and reports whether there was a mark.
func (c *Conn) unmark(cfg *pgconn.Config) bool {
	if c.session == "" {
		return false
	}
	c.session, c.begins, cfg.RuntimeParams = "", false, c.unmarked
	return true
}

// readOnly are the settings, by their names, that make a session read-only, and bound how long its statements wait for
// a lock. The application's name is among them for [Conn.begun].
func (o Options) readOnly(cfg *pgconn.Config) (all [][2]string) {
	if !o.ReadOnly {
		return nil
	}
	all = append(all, [2]string{"application_name", cfg.RuntimeParams["application_name"]},
		[2]string{"default_transaction_read_only", "on"})
	if o.LockTimeout > 0 {
		all = append(all, [2]string{"lock_timeout", strconv.FormatInt(o.LockTimeout.Milliseconds(), 10)})
	}
	return all
}

// begun reports whether the session is known to have begun with them. PostgreSQL states the first two, from 14 on, when
// a session begins. That it is read-only may be due to its role; but the application's name was sent with the others
// and in no other way, so where it has arrived they have.
func (c *Conn) begun() bool {
	return c.begins && !slices.ContainsFunc(c.readOnly[:min(2, len(c.readOnly))], func(s [2]string) bool {
		return c.pg.ParameterStatus(s[0]) != s[1]
	})
}

// SettingsRefused reports whether the server, most likely a pooler in session mode, refused a setting in the startup
// message, so that the connection was made without one. Another client's would be refused too.
func (c *Conn) SettingsRefused() bool { return c.session == "" }

// refusesMark reports whether a server, most likely a pooler, may have refused the connection because of its mark:
// "unsupported startup parameter: options", "unsupported startup parameter in options: …" (PgBouncer), "RDS Proxy
// currently doesn't support command-line options".
func refusesMark(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && (strings.Contains(pg.Message, "startup parameter") ||
		strings.Contains(pg.Message, "options") || strings.Contains(pg.Message, sessionMark))
}

// ownSession is an SQL condition: the server session that runs it is known to be the connection's own.
func (c *Conn) ownSession() string {
	switch {
	case c.owned:
		return "true"
	case c.session != "":
		return "current_setting('" + sessionMark + "', true) = '" + c.session + "'"
	}
	return "false"
}

// set makes the settings of the session that the options ask for and that it has not begun with. In a session that may
// be another client's next, nothing is set, and the error is a [*TransactionPoolerError].
func (c *Conn) set(ctx context.Context, o Options) error {
	settings := c.missing(o)
	if settings == "" {
		return nil
	}
	for {
		answers, err := c.Results(ctx, settings+" where "+c.ownSession())
		if err != nil {
			return fmt.Errorf("make the session's settings: %w", err)
		}
		if len(answers[0]) > 0 {
			c.settings = settings
			return nil
		}
		if err := c.findSession(ctx); err != nil {
			return err
		}
	}
}

// missing is the statement that makes these settings, keeps the server from ending the session while it is idle, and
// extends its search_path; "" if none of these is left to do.
func (c *Conn) missing(o Options) string {
	var calls []string
	set := func(name, value string) {
		calls = append(calls, fmt.Sprintf("pg_catalog.set_config('%s', %s, false)", name, value))
	}
	if !c.begun() {
		for _, s := range c.readOnly {
			set(s[0], sqltext.QuoteLiteral(s[1]))
		}
	}
	if o.Idles { // PostgreSQL before 14 does not know the setting
		calls = append(calls, "case when pg_catalog.current_setting('idle_session_timeout', true) is not null then "+
			"pg_catalog.set_config('idle_session_timeout', '0', false) end")
	}
	if o.FirstSchema != "" {
		set("search_path", "pg_catalog.concat_ws(', ', "+sqltext.QuoteLiteral(sqltext.QuoteIdentifier(o.FirstSchema))+
			", nullif(pg_catalog.current_setting('search_path'), ''))")
	}
	if len(calls) == 0 {
		return ""
	}
	return "select " + strings.Join(calls, ", ")
}

// TransactionPoolerError is the error of a connection that was to hold a lock or settings and leads through a pooler in
// transaction mode. Nothing was locked or set.
type TransactionPoolerError struct{ Server string }

func (e *TransactionPoolerError) Error() string {
	return e.Server + " is a connection pooler in transaction mode, where a session's lock and settings would stay behind"
}

// poolerPatience is how long a pooler may take to give the second connection a session: one in session mode has none
// left if its pool is small.
const poolerPatience = 5 * time.Second

// findSession finds out, for a connection without proof, whether its server session is its own, as it is behind a
// pooler in session mode. The error is a [*TransactionPoolerError] if the session changes, or if a second connection
// gets it: a pool hands out the session that was used last, or first, so one of the two is seen. Everything else counts
// as a session of its own.
func (c *Conn) findSession(ctx context.Context) error {
	seen, err := c.backends(ctx, 2)
	if err != nil {
		return err
	}
	pooled := seen[0] != seen[1]
	if !pooled {
		if pooled, err = c.shares(ctx, seen[1]); err != nil {
			return err
		}
	}
	if pooled {
		return &TransactionPoolerError{c.target.Server()}
	}
	c.owned = true
	return nil
}

// backends asks several times which process serves the connection.
func (c *Conn) backends(ctx context.Context, times int) (seen []string, err error) {
	for range times {
		answers, err := c.Results(ctx, "select pg_catalog.pg_backend_pid()")
		if err != nil {
			return nil, fmt.Errorf("ask which process serves the connection: %w", err)
		}
		seen = append(seen, string(answers[0][0][0]))
	}
	return seen, nil
}

// shares reports whether a second connection, which holds on to its session with a transaction, gets the process that
// serves this one, or takes it away.
func (c *Conn) shares(ctx context.Context, backend string) (bool, error) {
	soon, cancel := context.WithTimeout(ctx, poolerPatience)
	defer cancel()
	second := &Conn{log: slog.New(slog.DiscardHandler), target: c.target}
	var err error
	second.pg, err = c.target.get().direct.connect(soon, c.target, second.config(c.target, Options{}), second.log)
	if err != nil {
		return false, nil //nolint:nilerr // then it gets no session
	}
	defer second.Close()
	if _, err := second.Exec(soon, "begin"); err != nil {
		var refused *pgconn.PgError // in statement mode: "transaction blocks not allowed in statement pooling mode"
		return errors.As(err, &refused) && strings.Contains(refused.Message, "pooling mode"), nil
	}
	theirs, err := second.backends(soon, 1)
	if err != nil {
		return false, nil //nolint:nilerr // as before
	}
	if theirs[0] == backend {
		return true, nil // the pool may have no other
	}
	now, err := c.backends(ctx, 1)
	return err == nil && now[0] != backend, err
}
