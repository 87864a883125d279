package pgdump

import (
	"strings"

	"github.com/org/neon-tenants-action/internal/postgres"
)

// Why a client program failed, beside [postgres.BadCredentials] and the other causes of a failed connection.
const (
	WrongMajor        postgres.Cause = "server of another major"
	RowSecurity       postgres.Cause = "row security hides rows"
	ReadDenied        postgres.Cause = "may not read everything"
	LockWait          postgres.Cause = "a table's lock not acquired"
	StatementLockWait postgres.Cause = "lock_timeout in a dump"
	DiskFull          postgres.Cause = "disk full"
	NotFound          postgres.Cause = "named object does not exist"
	NoMatchingTable   postgres.Cause = "no matching table"
	NoMatchingSchema  postgres.Cause = "no matching schema"
	UnknownOption     postgres.Cause = "unknown option"
	SessionTerminated postgres.Cause = "session terminated"
	ServerClosed      postgres.Cause = "server closed the connection"
	ConnectionLost    postgres.Cause = "connection lost in a program"
	DumpLocks         postgres.Cause = "no room for a dump's locks"
)

type phrase struct {
	text  string // in lower case
	cause postgres.Cause
}

// phrases tell the cause by what the programs and the server say in English, the language of servers in the cloud. The
// first that matches counts.
var phrases = []phrase{
	{"max_locks_per_transaction", DumpLocks}, // in the hint to "out of shared memory"
	{"server version mismatch", WrongMajor},
	{"query would be affected by row-level security", RowSecurity},
	{"permission denied", ReadDenied},
	{"canceling statement due to statement timeout", LockWait},
	{"canceling statement due to lock timeout", StatementLockWait},
	{"no space left on device", DiskFull},
	{"password authentication failed", postgres.BadCredentials},
	{"unsupported startup parameter", postgres.SettingRefused},
	{"does not exist", NotFound},
	{"no matching tables were found", NoMatchingTable},
	{"no matching schemas were found", NoMatchingSchema},
	{"unrecognized option", UnknownOption},
	{"invalid option", UnknownOption},
	{"certificate", postgres.UntrustedCertificate},
	{"terminating connection due to administrator command", SessionTerminated},
	{"remaining connection slots", postgres.ConnectionLimit},
	{"too many connections", postgres.ConnectionLimit},
	{"too many clients", postgres.ConnectionLimit},
	{"server closed the connection", ServerClosed},
	{"could not receive data from server", ConnectionLost},
	{"ssl syscall error", ConnectionLost},
	{"unexpected eof", ConnectionLost}, // libpq 18 with OpenSSL 3
	{"ssl connection has been closed", ConnectionLost},
	{"could not translate host name", postgres.NoSuchHost},
	{"connection refused", postgres.NoAnswer},
	{"timeout expired", postgres.NoAnswer},
}

// Cause is why the program failed, "" if its output does not tell.
func (e *ProgramError) Cause() postgres.Cause {
	output := strings.ToLower(e.Output)
	for _, p := range phrases {
		if strings.Contains(output, p.text) {
			return p.cause
		}
	}
	return ""
}
