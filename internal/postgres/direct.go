package postgres

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgconn/ctxwatch"
)

// DirectTLS remembers which servers take direct TLS (libpq's sslnegotiation=direct), which saves the round trip in
// which PostgreSQL's protocol asks for TLS: Neon's proxy does, and PostgreSQL since 17. A run shares one, so that only
// its first connection to a group of servers has to find out. The zero value is ready for use, also concurrently.
type DirectTLS struct {
	mu     sync.Mutex
	groups map[string]directState
	// patience is how long a server may take for the handshake before it counts as one that does not answer. Zero: 3 s.
	patience time.Duration
}

// defaultPatience is enough for a ClientHello that is lost and sent again twice. Some firewalls drop one that does not
// follow PostgreSQL's request, and AttemptTimeout is too long to wait for those.
const defaultPatience = 3 * time.Second

// directState is what is known about a group of servers.
type directState int

const (
	directUnknown directState = iota
	directTried               // a connection is finding out
	directTaken
	directRefused
)

// begin reports whether a connection to the group is to begin TLS directly. The first one does, and those that begin
// while it finds out do not: asking for TLS costs them a round trip, and waiting would cost two or, behind a firewall
// that answers nothing, seconds.
func (d *DirectTLS) begin(group string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.groups == nil {
		d.groups = map[string]directState{}
	}
	switch d.groups[group] {
	case directUnknown:
		d.groups[group] = directTried
		return true
	case directTaken:
		return true
	}
	return false
}

// learn remembers what a connection that began TLS directly has found out. A refusal is final: servers of one group may
// be of different versions. After directUnknown, as for a name that does not resolve, the next connection finds out.
func (d *DirectTLS) learn(group string, found directState) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch known := d.groups[group]; {
	case known == directRefused:
	case found == directUnknown && known == directTaken:
	default:
		d.groups[group] = found
	}
}

// directGroup names the servers that are assumed to treat TLS alike: those whose names differ in the first label only,
// as the endpoints of one region of Neon do, on one port.
func directGroup(cfg *pgconn.Config) string {
	host := strings.ToLower(strings.TrimSuffix(cfg.Host, "."))
	if _, err := netip.ParseAddr(host); err != nil {
		if _, suffix, _ := strings.Cut(host, "."); strings.Contains(suffix, ".") {
			host = suffix
		}
	}
	return net.JoinHostPort(host, strconv.Itoa(int(cfg.Port)))
}

// beginsDirectly reports whether a target's connections begin TLS directly if the server takes it: if the TLS policy
// verifies the certificate in full, or the connection string says so. Plaintext is not possible then, so a fallback to
// asking for TLS gives nothing away. With several hosts, TLS is asked for.
func beginsDirectly(t Target, cfg *pgconn.Config) bool {
	certain := cfg.TLSConfig != nil && len(cfg.Fallbacks) == 0
	return certain && (cfg.SSLNegotiation == "direct" || cfg.SSLNegotiation == "" && t.Verified())
}

// connect makes one attempt to connect to t with cfg. If the server does not take direct TLS, a second connection asks
// for TLS.
func (d *DirectTLS) connect(
	ctx context.Context, t Target, cfg *pgconn.Config, log *slog.Logger,
) (*pgconn.PgConn, error) {
	if !beginsDirectly(t, cfg) {
		return pgconn.ConnectConfig(ctx, cfg)
	}
	direct, asking := cfg.Copy(), cfg.Copy()
	direct.SSLNegotiation, direct.TLSConfig.NextProtos = "direct", []string{alpn}
	asking.SSLNegotiation, asking.TLSConfig.NextProtos = "postgres", nil
	group := directGroup(cfg)
	if !d.begin(group) {
		return pgconn.ConnectConfig(ctx, asking)
	}
	defer d.learn(group, directUnknown) // unless something was learned
	attempt, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	direct.AfterNetConnect = func(ctx context.Context, _ *pgconn.Config, conn net.Conn) (net.Conn, error) {
		refusal := d.handshake(ctx, group, conn)
		if refusal != nil {
			stop(refusal) // or pgx would try the host's other addresses in the same way
		}
		return conn, refusal
	}
	pg, err := pgconn.ConnectConfig(attempt, direct)
	var refused *directRefusal
	if err == nil || !errors.As(context.Cause(attempt), &refused) {
		return pg, err
	}
	log.Info("the server does not take direct TLS: it is asked for TLS from now on", "servers", group, "error", refused)
	return pgconn.ConnectConfig(ctx, asking)
}

// alpn is the protocol's name in TLS, without which PostgreSQL and libpq refuse direct TLS.
const alpn = "postgresql"

// directRefusal is how a server showed that it does not take direct TLS.
type directRefusal struct{ err error }

func (e *directRefusal) Error() string { return e.err.Error() }
func (e *directRefusal) Unwrap() error { return e.err }

// handshake does the TLS handshake of a direct connection, and remembers what it shows about the servers. It returns a
// [*directRefusal] or nil. It returns nil too after a handshake that failed for another reason: pgx meets the same
// error and reports it as for any connection.
func (d *DirectTLS) handshake(ctx context.Context, group string, conn net.Conn) error {
	secure := conn.(*tls.Conn) // what pgx makes in this mode, before its first write
	patience := d.patience
	if patience == 0 {
		patience = defaultPatience
	}
	bounded, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	// HandshakeContext would close the connection, and pgx would not see that the time is over.
	watcher := ctxwatch.NewContextWatcher(&pgconn.DeadlineContextWatcherHandler{Conn: conn})
	watcher.Watch(bounded)
	err := secure.Handshake() //nolint:noctx // see above
	watcher.Unwatch()
	if err == nil && secure.ConnectionState().NegotiatedProtocol != alpn {
		err = errors.New("the server did not agree on the protocol " + alpn)
	}
	switch {
	case err == nil:
		d.learn(group, directTaken)
		return nil
	case ctx.Err() == nil && meansRefusal(err):
		d.learn(group, directRefused)
		return &directRefusal{err}
	}
	return nil
}

// meansRefusal reports whether a handshake's error may mean that the server does not take direct TLS: it closed or
// reset the connection, did not answer in time, or answered with an alert or something that is not TLS. Only an
// untrusted certificate means that it does. In doubt it is a refusal: if something else is wrong, asking for TLS fails
// too, with the error that users know.
func meansRefusal(err error) bool {
	return !errors.As(err, new(*tls.CertificateVerificationError))
}
