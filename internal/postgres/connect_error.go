package postgres

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// Cause classifies a failure, so that callers can look up a remedy: they know where a connection string or a table's
// name came from, and this package does not.
type Cause string

// Why a connection could not be made.
const (
	BadCredentials       Cause = "bad credentials"
	NoSuchDatabase       Cause = "no such database"
	ConnectionLimit      Cause = "connection limit reached"
	UntrustedCertificate Cause = "untrusted certificate"
	NoSuchHost           Cause = "no such host"
	SettingRefused       Cause = "setting refused" // most likely by a pooler
	SettingUnknown       Cause = "setting unknown" // to the server, or its value
	NoAnswer             Cause = "no answer"       // within 60 s, or by the context's deadline
)

// ConnectError is the error of a connection that could not be made.
type ConnectError struct {
	Host      string
	Database  string
	Err       error // of the last attempt
	elapsed   time.Duration
	temporary bool
	cancelled bool // before the server had its time to answer
}

func newConnectError(cfg *pgconn.Config, err error, elapsed time.Duration) *ConnectError {
	return &ConnectError{
		Host: cfg.Host, Database: cfg.Database, Err: err, elapsed: elapsed, temporary: temporary(err),
	}
}

// under notes whether ctx, under which the attempts were made, was cancelled.
func (e *ConnectError) under(ctx context.Context) *ConnectError {
	e.cancelled = errors.Is(ctx.Err(), context.Canceled)
	return e
}

func (e *ConnectError) Error() string {
	after := ""
	if e.elapsed > AttemptTimeout {
		after = fmt.Sprintf(" (tried for %s)", e.elapsed.Round(time.Second))
	}
	return fmt.Sprintf("connect to database %q on %s%s: %s", e.Database, e.Host, after, reason(e.Err))
}

func (e *ConnectError) Unwrap() error { return e.Err }

// Cause is why the connection could not be made, "" if that is not known.
func (e *ConnectError) Cause() Cause {
	switch {
	case HasCode(e.Err, "28P01"), HasCode(e.Err, "28000"):
		return BadCredentials
	case HasCode(e.Err, "3D000"):
		return NoSuchDatabase
	case NoRoom(e.Err):
		return ConnectionLimit
	case strings.Contains(e.Err.Error(), "unsupported startup parameter"):
		return SettingRefused
	case HasCode(e.Err, "42704"), HasCode(e.Err, "55P02"), HasCode(e.Err, "22023"):
		return SettingUnknown
	case errors.As(e.Err, new(*tls.CertificateVerificationError)):
		return UntrustedCertificate
	case isNotFound(e.Err):
		return NoSuchHost
	case e.temporary && !e.cancelled:
		return NoAnswer
	}
	return ""
}

// HasCode reports whether err is the server's, with that SQLSTATE.
func HasCode(err error, code string) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && pg.Code == code
}

// Locked reports whether a statement was ended because of another session's locks: it would have waited for too long
// (lock_not_available), or for ever (deadlock_detected).
func Locked(err error) bool { return HasCode(err, "55P03") || HasCode(err, "40P01") }

// NoRoom reports whether a server refused a connection because it, or the role, has as many as it may.
func NoRoom(err error) bool { return HasCode(err, "53300") }

// StartingUp reports whether a server takes no connections yet, or no longer (cannot_connect_now).
func StartingUp(err error) bool { return HasCode(err, "57P03") }

// DatabaseFull reports whether it was the database's own limit that was reached. The server tells it from the others
// in its message only.
func DatabaseFull(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && NoRoom(err) && strings.Contains(pg.Message, "for database")
}

func isNotFound(err error) bool {
	var dns *net.DNSError
	return errors.As(err, &dns) && dns.IsNotFound
}

// reason is the last thing that the server or the network said, without pgx's preamble, which repeats host, user and
// database.
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

// permanent are phrases with which Neon's proxy and PgBouncer report permanent failures under codes that are also those
// of temporary ones.
var permanent = []string{
	"quota", "has been disabled", "is not allowed to connect", "blocked network", "not specified",
	"could not be found", "password authentication failed",
	"unsupported startup parameter", // PgBouncer's, under 08P01
}

// temporary tells failures that may pass without intervention (a compute that starts, a server that restarts, a reached
// connection limit, a network fault) from those that cannot (authentication, unknown names, certificates, quotas).
func temporary(err error) bool {
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
	if errors.As(err, new(*tls.CertificateVerificationError)) || errors.As(err, new(x509.UnknownAuthorityError)) ||
		errors.As(err, new(x509.HostnameError)) || isNotFound(err) {
		return false
	}
	// A refused TLS connection, a SCRAM failure and the like are plain errors: only the network's own count.
	var network net.Error
	return errors.As(err, &network) || strings.Contains(err.Error(), "EOF") ||
		strings.Contains(err.Error(), "connection reset")
}
