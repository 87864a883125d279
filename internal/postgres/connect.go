package postgres

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgconn/ctxwatch"
)

// AttemptTimeout bounds one attempt to connect. Neon's documentation asks for at least 10 s, because the first
// connection starts the compute.
const AttemptTimeout = 15 * time.Second

const (
	wakeBudget   = 60 * time.Second // how long connecting is retried while a compute starts
	firstBackoff = 100 * time.Millisecond
	maxBackoff   = 4 * time.Second
	// cancelGrace is how long the server may take to answer the cancel of a statement.
	cancelGrace = 3 * time.Second
)

// Options say how to connect. The zero value is the safe one.
type Options struct {
	// ReadOnly makes every transaction of the session read-only.
	ReadOnly bool
	// LockTimeout is how long a read-only session's statement waits for each lock. Zero: for ever.
	LockTimeout time.Duration
	// NoSearchPath gives the session an empty search_path, to which RESET ALL returns: a name without a schema is then
	// an error and never another schema's table.
	NoSearchPath bool
	// FirstSchema is put before the schemas of the session's search_path, which stay. Empty: the path is as it is.
	FirstSchema string
	// SearchPath is the session's search_path, to which RESET ALL returns. Empty: that of the role or the database.
	SearchPath string
	// Late leaves the settings of the session to its first use: ReadStatus makes them without a round trip of its own, but
	// for FirstSchema, on which its answer depends. Their error is then that of the first use.
	Late bool
	// Idles says that the session may be idle for long: the server's idle_session_timeout does not end it.
	Idles bool
	// NoRoom is called when the server, or the role's limit, has no room for another connection ([NoRoom]). If it
	// returns true, Connect fails at once, for a caller that can wait for its own connections; otherwise Connect tries
	// again. Nil: it tries again.
	NoRoom func() bool
	// Starting is NoRoom for a server that starts up, shuts down or recovers ([StartingUp]).
	Starting func() bool
	// GiveUp is how long the server may take to answer the cancel of a statement before the connection is closed.
	// Zero: 3 s.
	GiveUp time.Duration
	// Log receives retries and the server's notices. Nil discards them.
	Log *slog.Logger
}

// Conn is one connection. It is not safe for concurrent use. If a context ends while a statement runs, the statement is
// cancelled on the server, and its answer is awaited for up to 3 s ([Options].GiveUp).
type Conn struct {
	pg      *pgconn.PgConn
	log     *slog.Logger
	target  Target
	session string       // the mark that its server session has; "" if it has none
	owned   bool         // the session is known to be this connection's own without it
	backend atomic.Value // string: the process that serves it, if that is known

	options Options // those that are settings of the session
	due     bool    // they are still to be made
}

// Connect opens a connection, and retries with backoff for up to 60 s while a compute starts. Only connecting is
// retried, never a statement. The error is a [*ConnectError], or that of a setting of the session, which is a
// [*TransactionPoolerError] behind such a pooler; with o.Late it comes from the first use.
func Connect(ctx context.Context, t Target, o Options) (*Conn, error) {
	c := &Conn{log: o.Log, target: t}
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	if err := c.open(ctx, o); err != nil {
		return nil, err
	}
	return c, nil
}

// Reopen closes the connection and opens it again, as [Connect] does: its session is a new one. After an error it stays
// closed.
func (c *Conn) Reopen(ctx context.Context, o Options) error {
	c.Close()
	old := c.pg
	c.owned, c.due = false, false
	c.backend.Store("")
	if err := c.open(ctx, o); err != nil {
		c.pg = old
		return err
	}
	return nil
}

func (c *Conn) open(ctx context.Context, o Options) error {
	cfg := c.config(c.target, o)
	c.mark(cfg)
	if err := c.dial(ctx, c.target, cfg, o); err != nil {
		return err
	}
	c.options = Options{ReadOnly: o.ReadOnly, LockTimeout: o.LockTimeout, Idles: o.Idles, FirstSchema: o.FirstSchema}
	c.due = c.options.settingsQuery() != ""
	if !o.Late || o.FirstSchema != "" {
		if err := c.set(ctx); err != nil {
			c.Close()
			return err
		}
	}
	return nil
}

// config is the target's configuration with the options applied.
func (c *Conn) config(t Target, o Options) *pgconn.Config {
	cfg := t.Config()
	if cfg.RuntimeParams["application_name"] == "" {
		cfg.RuntimeParams["application_name"] = "neon-tenants-action"
	}
	cfg.RuntimeParams["client_encoding"] = "UTF8" // what files are in; a role's or a database's default may be another
	if o.NoSearchPath {
		delete(cfg.RuntimeParams, "search_path") // it would override the option
		addOption(cfg, "search_path=")
	}
	if o.SearchPath != "" {
		delete(cfg.RuntimeParams, "search_path")
		addOption(cfg, "search_path="+optionEscape.Replace(o.SearchPath))
	}
	cfg.ConnectTimeout = AttemptTimeout
	// Notices a peer that vanished after 15 + 4 × 5 s; the kernel's default is two hours.
	dialer := &net.Dialer{KeepAliveConfig: net.KeepAliveConfig{
		Enable: true, Idle: 15 * time.Second, Interval: 5 * time.Second, Count: 4,
	}}
	cfg.DialFunc = dialer.DialContext
	cfg.OnNotice = func(_ *pgconn.PgConn, n *pgconn.Notice) {
		c.log.Info(n.Severity + ": " + n.Message)
	}
	cfg.BuildContextWatcherHandler = func(pg *pgconn.PgConn) ctxwatch.Handler {
		return &pgconn.CancelRequestContextWatcherHandler{Conn: pg, DeadlineDelay: cmp.Or(o.GiveUp, cancelGrace)}
	}
	return cfg
}

// optionEscape keeps a setting's value in one piece: the server splits options at white space.
var optionEscape = strings.NewReplacer(`\`, `\\`, " ", `\ `, "\t", "\\\t", "\n", "\\\n")

// addOption adds a setting to those that the session begins with. As an option it also gets through Neon's proxy, which
// drops most parameters of the startup message without a word.
func addOption(cfg *pgconn.Config, setting string) {
	cfg.RuntimeParams["options"] = strings.TrimSpace(cfg.RuntimeParams["options"] + " -c " + setting)
}

// dial connects, and retries temporary failures.
func (c *Conn) dial(ctx context.Context, t Target, cfg *pgconn.Config, o Options) (err error) {
	began, wait := time.Now(), firstBackoff
	for {
		if c.pg, err = t.get().direct.connect(ctx, t, cfg, c.log); err == nil {
			return nil
		}
		if refusesMark(err) && c.unmark(cfg) {
			continue
		}
		failure := newConnectError(cfg, err, time.Since(began))
		left := wakeBudget - time.Since(began)
		if !failure.temporary || left <= 0 || ctx.Err() != nil || o.leaves(err) {
			return failure.under(ctx)
		}
		pause := min(left, wait/2+rand.N(wait/2)) // jitter, so that many clients of one proxy do not retry in step
		c.log.Info("connecting failed, trying again", "in", pause, "error", err)
		select {
		case <-ctx.Done():
			return failure.under(ctx)
		case <-time.After(pause):
		}
		wait = min(2*wait, maxBackoff)
	}
}

// leaves reports whether the caller waits in its own way for what keeps it from connecting.
func (o Options) leaves(err error) bool {
	return o.NoRoom != nil && NoRoom(err) && o.NoRoom() || o.Starting != nil && StartingUp(err) && o.Starting()
}

// Lender has an open connection that it no longer needs. Lend hands it over, nil if there is none; the receiver closes
// it. Its search_path is empty, and it is read-only in a dry run.
type Lender interface {
	Lend() *Conn
}

// Idle reports whether the connection can be used for the next piece of work: it is in no transaction and, as far as is
// known without asking the server, alive.
func (c *Conn) Idle() bool { return !c.Closed() && c.pg.TxStatus() == 'I' }

// Alive is Idle for a connection that has not been used for a while: it also looks, for a millisecond, whether the
// server has sent anything in the meantime, which most likely says that the session has ended. (pgconn's own check
// sends a cancel request each time, and a ping costs the round trip that keeping the connection is to save.)
func (c *Conn) Alive() bool {
	if !c.Idle() {
		return false
	}
	conn := c.pg.Conn()
	if conn.SetReadDeadline(time.Now().Add(time.Millisecond)) != nil {
		return false
	}
	n, err := conn.Read(make([]byte, 1))
	quiet := n == 0 && errors.Is(err, os.ErrDeadlineExceeded)
	return conn.SetReadDeadline(time.Time{}) == nil && quiet
}

// Closed reports whether the connection can no longer be used.
func (c *Conn) Closed() bool { return c.pg.IsClosed() }

// Target is the database that it is connected to.
func (c *Conn) Target() Target { return c.target }

// Log receives retries and the server's notices.
func (c *Conn) Log() *slog.Logger { return c.log }

// SetLog changes what receives retries and notices.
func (c *Conn) SetLog(log *slog.Logger) { c.log = log }

// Close ends the session, and with it every lock it holds. The server rolls back what was not committed.
func (c *Conn) Close() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = c.pg.Close(ctx) // nothing depends on the goodbye arriving
}

// ServerVersion is the server's version as it states it, "17.6".
func (c *Conn) ServerVersion() string {
	version, _, _ := strings.Cut(c.pg.ParameterStatus("server_version"), " ")
	return version
}

// ServerMajor is the server's major version, 17.
func (c *Conn) ServerMajor() int { return MajorOf(c.ServerVersion()) }
