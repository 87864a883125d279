package postgres

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgconn/ctxwatch"
)

// AttemptTimeout is how long one attempt to connect may take. Neon's documentation asks for 10 s or more, because the
// first connection starts the compute.
const AttemptTimeout = 15 * time.Second

const (
	wakeBudget   = 60 * time.Second // SPEC 4: how long connecting is tried again while a compute starts
	firstBackoff = 100 * time.Millisecond
	maxBackoff   = 4 * time.Second
	// How long a cancelled statement's connection may take to answer before it is cut.
	cancelDeadline = 3 * time.Second
)

// Options say how to connect. The zero value is the safe one.
type Options struct {
	// ReadOnly makes every transaction of the session read-only.
	ReadOnly bool
	// NoSearchPath makes the session begin, and after RESET ALL go on, with an empty search_path: a name that is given without
	// its schema is an error then and never means another schema's table.
	NoSearchPath bool
	// GiveUp is how long a cancelled statement's connection may take to answer before it is cut; zero is 3 s.
	GiveUp time.Duration
	// Log hears of retries and of the server's notices; nil is nobody.
	Log *slog.Logger
}

// Conn is one connection. It is not safe for concurrent use. A context that ends while a statement runs cancels the
// statement on the server, then waits up to 3 s for the server's word.
type Conn struct {
	pg  *pgconn.PgConn
	log *slog.Logger
}

// Connect opens a connection, trying again with backoff for up to 60 s while a compute wakes. Only connecting is retried,
// never a statement. The error is a [*ConnectError].
func Connect(ctx context.Context, t Target, o Options) (*Conn, error) {
	cfg := t.Config()
	c := &Conn{log: o.Log}
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	if cfg.RuntimeParams["application_name"] == "" {
		cfg.RuntimeParams["application_name"] = "neon-tenants-action"
	}
	if o.NoSearchPath {
		cfg.RuntimeParams["search_path"] = ""
	}
	cfg.ConnectTimeout = AttemptTimeout
	// A peer that vanished without a word is noticed after 15 + 4 × 5 s and not after the kernel's two hours.
	dialer := &net.Dialer{KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 15 * time.Second, Interval: 5 * time.Second, Count: 4}}
	cfg.DialFunc = dialer.DialContext
	cfg.OnNotice = func(_ *pgconn.PgConn, n *pgconn.Notice) {
		c.log.Info(n.Severity + ": " + n.Message)
	}
	cfg.BuildContextWatcherHandler = func(pg *pgconn.PgConn) ctxwatch.Handler {
		return &pgconn.CancelRequestContextWatcherHandler{Conn: pg, DeadlineDelay: cmp.Or(o.GiveUp, cancelDeadline)}
	}

	began, wait := time.Now(), firstBackoff
	for {
		var err error
		c.pg, err = pgconn.ConnectConfig(ctx, cfg)
		if err == nil {
			break
		}
		failure := newConnectError(cfg, err, time.Since(began))
		left := wakeBudget - time.Since(began)
		if !failure.waking || left <= 0 || ctx.Err() != nil {
			return nil, failure
		}
		pause := min(left, wait/2+rand.N(wait/2)) // jitter, so that a fleet behind one proxy does not knock in step
		c.log.Info("connecting failed, trying again", "in", pause, "error", err)
		select {
		case <-ctx.Done():
			return nil, failure
		case <-time.After(pause):
		}
		wait = min(2*wait, maxBackoff)
	}
	if o.ReadOnly {
		if _, err := c.Exec(ctx, "set session characteristics as transaction read only"); err != nil {
			c.Close()
			return nil, fmt.Errorf("make the session read-only: %w", err)
		}
	}
	return c, nil
}

// Lender has a connection open that it does not need any more. Lend gives it away, nil if there is none: whoever takes it
// closes it. It has an empty search_path, and is read-only in a dry run.
type Lender interface {
	Lend() *Conn
}

// Idle reports whether the connection can be used for the next piece of work: it is alive, as far as is known without asking
// the server, and in no transaction.
func (c *Conn) Idle() bool { return !c.Closed() && c.pg.TxStatus() == 'I' }

// Alive is Idle for a connection that nothing was asked of for a while: it also looks, for a millisecond, whether the server
// has said anything in the meantime. Unasked, that is most likely the session's end. (pgconn's own check would send a
// cancel request each time, and a ping would cost the round trip that keeping a connection is to save.)
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

// Log receives retries and the server's notices.
func (c *Conn) Log() *slog.Logger { return c.log }

// SetLog changes what receives them.
func (c *Conn) SetLog(log *slog.Logger) { c.log = log }

// Close ends the connection and with it every lock it holds. What was not committed is rolled back by the server.
func (c *Conn) Close() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = c.pg.Close(ctx) // nothing depends on the goodbye arriving
}

// ServerVersion is the server's own version text, "17.6".
func (c *Conn) ServerVersion() string {
	version, _, _ := strings.Cut(c.pg.ParameterStatus("server_version"), " ")
	return version
}

// ConnectError is a connection that could not be made.
type ConnectError struct {
	Host     string
	Database string
	Err      error
	waited   time.Duration
	waking   bool // it may pass by itself: worth another try
}

func (e *ConnectError) Error() string {
	after := ""
	if e.waited > AttemptTimeout {
		after = fmt.Sprintf(" (tried for %s)", e.waited.Round(time.Second))
	}
	return fmt.Sprintf("connect to database %q on %s%s: %s", e.Database, e.Host, after, reason(e.Err))
}

func (e *ConnectError) Unwrap() error { return e.Err }

// Remedy names what most often causes this kind of failure.
func (e *ConnectError) Remedy() string {
	var pg *pgconn.PgError
	var cert *tls.CertificateVerificationError
	var dns *net.DNSError
	switch {
	case errors.As(e.Err, &pg) && (pg.Code == "28P01" || pg.Code == "28000"):
		return "the role or its password is wrong or was changed since: reset it, or correct the connection string"
	case errors.As(e.Err, &pg) && pg.Code == "3D000":
		return "there is no such database on this server: correct database-name or the connection string"
	case errors.As(e.Err, &pg) && pg.Code == "53300":
		return "the server has no connection left: lower concurrency, or run when fewer clients are connected"
	case errors.As(e.Err, &cert):
		return "the server's certificate is not one this machine trusts for that name: correct the host, or name the authority's file with sslrootcert= in the URL"
	case errors.As(e.Err, &dns) && dns.IsNotFound:
		return "the host's name does not exist: the project or endpoint may have been deleted, or the connection string is misspelt"
	case e.waking:
		return "the server did not answer in time: see whether it runs, and whether its firewall or IP allow list lets this runner in"
	}
	return ""
}

func newConnectError(cfg *pgconn.Config, err error, waited time.Duration) *ConnectError {
	return &ConnectError{Host: cfg.Host, Database: cfg.Database, Err: err, waited: waited, waking: waking(err)}
}

// reason is the last thing the server or the network said, without pgx's preamble, which repeats host, user and database.
func reason(err error) string {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return fmt.Sprintf("%s: %s (SQLSTATE %s)", pg.Severity, pg.Message, pg.Code)
	}
	for inner := err; inner != nil; inner = errors.Unwrap(inner) {
		var connect *pgconn.ConnectError
		if !errors.As(inner, &connect) {
			return inner.Error()
		}
	}
	return err.Error()
}

// permanent are phrases of Neon's proxy for what no waiting mends; it sends them under codes that it also uses for faults
// which pass.
var permanent = []string{
	"quota", "has been disabled", "is not allowed to connect", "blocked network", "not specified", "could not be found", "password authentication failed",
}

// waking tells failures that may pass by themselves (a compute that starts, a server that restarts, a full connection
// table, a network hiccup) from those that will not (authentication, unknown names, certificates, quotas).
func waking(err error) bool {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		for _, phrase := range permanent {
			if strings.Contains(pg.Message, phrase) {
				return false
			}
		}
		class := pg.Code[:min(2, len(pg.Code))]
		return class == "08" || class == "53" || class == "57" || class == "XX"
	}
	var cert *tls.CertificateVerificationError
	var authority x509.UnknownAuthorityError
	var hostname x509.HostnameError
	var dns *net.DNSError
	if errors.As(err, &cert) || errors.As(err, &authority) || errors.As(err, &hostname) || (errors.As(err, &dns) && dns.IsNotFound) {
		return false
	}
	// "server refused TLS connection", a SCRAM failure and the like come as plain errors: only the network's own count.
	var network net.Error
	return errors.As(err, &network) || strings.Contains(err.Error(), "EOF") || strings.Contains(err.Error(), "connection reset")
}
