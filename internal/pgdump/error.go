package pgdump

import (
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// ProgramError is a program of PostgreSQL's that failed, or that ended well without having done its work.
type ProgramError struct {
	Program  string // pg_dump, pg_restore, psql
	Major    int
	Doing    string // "dump database \"app\" on db.example.com"
	Problem  string // what is wrong where it is not the exit status that tells
	Output   string // what it wrote to stderr, bounded, without the password
	Err      error  // how it ended; may be nil
	restored bool   // it is about a restore
}

func (e *ProgramError) Error() string {
	text := e.Doing + ": " + e.Program + " " + e.ended()
	if said := e.said(); said != "" {
		text += ": " + said
	}
	return text
}

func (e *ProgramError) Unwrap() error { return e.Err }

func (e *ProgramError) ended() string {
	var exit *exec.ExitError
	switch {
	case e.Problem != "":
		return e.Problem
	case errors.As(e.Err, &exit) && exit.Exited():
		return fmt.Sprintf("failed with exit status %d", exit.ExitCode())
	case errors.As(e.Err, &exit):
		if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() {
			return fmt.Sprintf("was ended by a signal (%s)", status.Signal())
		}
	}
	return fmt.Sprintf("failed: %v", e.Err)
}

// said is the error among what the program wrote: its last lines, without the programs' names and without the settings
// that psql repeats.
func (e *ProgramError) said() string {
	const most = 4 // lines
	var lines []string
	output := e.Output
	if _, end, cut := strings.Cut(output, excerptCut); cut {
		_, output, _ = strings.Cut(end, "\n") // the first line is not whole
	}
	for line := range strings.SplitSeq(output, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || strings.Contains(line, ": warning: ") || strings.HasPrefix(line, "psql:<stdin>") && strings.Contains(line, "NOTICE:") {
			continue
		}
		for _, noise := range []string{e.Program + ": ", "error: ", "fatal: ", "detail: "} {
			line = strings.TrimPrefix(line, noise)
		}
		lines = append(lines, line)
	}
	if over := len(lines) - most; over > 0 {
		lines = lines[over:]
	}
	return strings.Join(lines, "; ")
}

// remedies are told by what the programs and the server say, in English, which is what servers in the cloud speak.
var remedies = []struct{ phrase, remedy string }{
	{"server version mismatch", "pg_dump has to be of the server's own major: set pg-version: auto, or the server's major"},
	{"query would be affected by row-level security", "the role does not see all rows, so the dump would not be whole: name the tables' owner or a role with BYPASSRLS in role-name"},
	{"permission denied", "the role may not read everything in the database: name the one that owns it with role-name, grant it pg_read_all_data, or leave the object out with pg-dump-args: --exclude-table=… or --exclude-schema=…"},
	{"canceling statement due to statement timeout", "a lock on a table was not had in time: another session, such as a migration, holds it; run at a quieter hour, or wait longer with pg-dump-args: --lock-wait-timeout=10min"},
	{"canceling statement due to lock timeout", "another session, such as a migration, holds a lock on a table: run at a quieter hour"},
	{"no space left on device", "a disk is full: the server's own, or this machine's"},
	{"password authentication failed", "the role or its password is wrong or was changed since: reset it, or correct the connection string"},
	{"does not exist", "what it names is not there: correct database-name, role-name, pg-dump-args or the connection string"},
	{"no matching tables were found", "pg-dump-args names a table that is not there: correct the pattern"},
	{"no matching schemas were found", "pg-dump-args names a schema that is not there: correct the pattern"},
	{"unrecognized option", "correct pg-dump-args: this major's pg_dump has no such option"},
	{"invalid option", "correct pg-dump-args: this major's pg_dump has no such option"},
	{"certificate", "the server's certificate is not one this machine trusts for that name: correct the host, or name the authority's file with sslrootcert= in the URL"},
	{"terminating connection due to administrator command", "the server ended the session (a restart, a suspended compute, an administrator): run again"},
	{"remaining connection slots", "the server has no connection left: lower concurrency, or run when fewer clients are connected"},
	{"too many connections", "the server has no connection left: lower concurrency, or run when fewer clients are connected"},
	{"server closed the connection", "the connection was lost on the way: run again; a server that restarts or is short of memory ends sessions so"},
	{"could not receive data from server", "the connection was lost on the way: run again"},
	{"ssl syscall error", "the connection was lost on the way: run again"},
	{"unexpected eof", "the connection was lost on the way: run again"}, // libpq 18 with OpenSSL 3
	{"ssl connection has been closed", "the connection was lost on the way: run again"},
	{"could not translate host name", "the host's name does not exist: the project or endpoint may have been deleted, or the connection string is misspelt"},
	{"connection refused", "the server does not answer: see whether it runs, and whether its firewall or IP allow list lets this runner in"},
	{"timeout expired", "the server does not answer: see whether it runs, and whether its firewall or IP allow list lets this runner in"},
}

// restoreRemedies come first where it is a restore that failed.
var restoreRemedies = []struct{ phrase, remedy string }{
	{"unsupported version", "the backup was made by a newer major: restore it with that major, into a server of that major"},
	{"unrecognized configuration parameter", "the backup was made by a newer major than the target's: restore it into a server of the same major"},
	{"is not available", "the target lacks an extension that the backup uses: install it there"},
	{"invalid command \\restrict", "this psql is older than the backup's pg_dump: update the client programs"},
	{"already exists", "the target has an object of that name: empty it, or set overwrite: true"},
	{"permission denied", "the role may not create everything that the backup holds: restore as the database's owner"},
	{"must be owner of", "the role may not change everything that the backup holds: restore as the database's owner"},
}

// Remedy names what most often causes what the program says.
func (e *ProgramError) Remedy() string {
	said := strings.ToLower(e.Output)
	lists := [][]struct{ phrase, remedy string }{remedies}
	if e.restored {
		lists = [][]struct{ phrase, remedy string }{restoreRemedies, remedies}
	}
	for _, list := range lists {
		for _, r := range list {
			if strings.Contains(said, r.phrase) {
				return r.remedy
			}
		}
	}
	return ""
}

// StallError is a server, or a network, from which nothing came for too long.
type StallError struct {
	Doing  string
	Waited time.Duration
}

func (e *StallError) Error() string {
	return fmt.Sprintf("%s: nothing came from the server for %s", e.Doing, e.Waited)
}

// Remedy says where to look.
func (e *StallError) Remedy() string {
	return "see whether the server answers, whether another session holds a lock on a table, and whether something between it and this runner drops packets; then run again"
}
