package postgres

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
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

// mark adds a new mark to the settings of the startup message.
func (c *Conn) mark(cfg *pgconn.Config) {
	c.session = rand.Text()
	addOption(cfg, sessionMark+"="+c.session)
}

// unmark removes the mark, and reports whether there was one.
func (c *Conn) unmark(cfg *pgconn.Config) bool {
	if c.session == "" {
		return false
	}
	rest, _ := strings.CutSuffix(cfg.RuntimeParams["options"], "-c "+sessionMark+"="+c.session)
	if rest = strings.TrimSpace(rest); rest == "" {
		delete(cfg.RuntimeParams, "options")
	} else {
		cfg.RuntimeParams["options"] = rest
	}
	c.session = ""
	return true
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

// set makes the settings of the session if they are due. In a session that may be another client's next, nothing is
// set, and the error is a [*TransactionPoolerError].
func (c *Conn) set(ctx context.Context) error {
	if !c.due {
		return nil
	}
	c.due = false // or the queries below would come here again
	for {
		answers, err := c.Results(ctx, c.options.settingsQuery()+" where "+c.ownSession())
		switch {
		case err != nil:
			err = fmt.Errorf("make the session's settings: %w", err)
		case len(answers[0]) > 0:
			return nil
		default:
			err = c.findSession(ctx)
		}
		if err != nil {
			c.due = true
			return err
		}
	}
}

// settings are calls that make a session read-only, bound how long its statements wait for a lock, keep the server from
// ending it while it is idle, and extend its search_path. local is SQL for whether that is for the transaction alone.
func (o Options) settings(local string) (calls []string) {
	set := func(name, value string) {
		calls = append(calls, fmt.Sprintf("pg_catalog.set_config('%s', %s, %s)", name, value, local))
	}
	if o.ReadOnly {
		set("default_transaction_read_only", "'on'")
	}
	if o.ReadOnly && o.LockTimeout > 0 {
		set("lock_timeout", fmt.Sprintf("'%d'", o.LockTimeout.Milliseconds()))
	}
	if o.Idles { // PostgreSQL before 14 does not know the setting
		calls = append(calls, "case when pg_catalog.current_setting('idle_session_timeout', true) is not null then "+
			"pg_catalog.set_config('idle_session_timeout', '0', "+local+") end")
	}
	if o.FirstSchema != "" {
		set("search_path", "pg_catalog.concat_ws(', ', "+sqltext.QuoteLiteral(sqltext.QuoteIdentifier(o.FirstSchema))+
			", nullif(pg_catalog.current_setting('search_path'), ''))")
	}
	return calls
}

// settingsQuery makes the settings for the session; "" if there is none.
func (o Options) settingsQuery() string {
	if calls := o.settings("false"); len(calls) > 0 {
		return "select " + strings.Join(calls, ", ")
	}
	return ""
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
