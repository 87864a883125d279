package pgdump

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/org/neon-tenants-action/internal/postgres"
)

// Why a restore failed, beside what [ProgramError] knows. In each case but the first, the target is as it was.
const (
	// CommitUnknown: the connection broke during the commit, and the server could not be asked what became of it.
	CommitUnknown     postgres.Cause = "commit unknown"
	NewerSetting      postgres.Cause = "setting of a newer major"
	ExtensionMissing  postgres.Cause = "extension missing"
	AlreadyExists     postgres.Cause = "object exists already"
	StillExists       postgres.Cause = "object exists still" // although the target was emptied
	CreateDenied      postgres.Cause = "may not create everything"
	OwnershipDenied   postgres.Cause = "not the owner"
	TargetLocked      postgres.Cause = "object of the target locked"
	RestoreRolledBack postgres.Cause = "restore rolled back"
	RestoreLocks      postgres.Cause = "no room for a restore's locks"
	NotInTarget       postgres.Cause = "the target lacks what it refers to"
)

// RestoreError is the error of a restore that the server refused, or during which the connection broke.
type RestoreError struct {
	Task      string // "restore into database \"app\" on db.example.com"
	Statement string // that failed: its first words, without values, such as "create view public.v"
	Err       error

	emptied bool     // the target was, as far as it can be
	unknown bool     // whether it was committed
	locks   lockRoom // the server's
}

func (e *RestoreError) Unwrap() error { return e.Err }

func (e *RestoreError) Error() string {
	text := e.Task + ": "
	if e.Statement != "" {
		text += e.Statement + ": "
	}
	var pg *pgconn.PgError
	switch {
	case e.unknown:
		return text + "the connection was lost, and whether the server has committed is not known: " + e.Err.Error()
	case !errors.As(e.Err, &pg):
		return text + "the connection was lost: " + e.Err.Error()
	}
	if row := copyLine.FindStringSubmatch(pg.Where); row != nil {
		text += "row " + row[1] + ": "
	}
	text += fmt.Sprintf("%s (SQLSTATE %s)", withoutValue(pg), pg.Code)
	if pg.Hint != "" {
		text += "; hint: " + pg.Hint
	}
	if e.locks.room > 0 && lacksLocks(pg) {
		text += "; " + e.locks.String()
	}
	return printable(text)
}

var (
	copyLine    = regexp.MustCompile(`\ACOPY .*, line (\d+)`)
	quotedValue = regexp.MustCompile(`(?s): ".*\z`)
)

// withoutValue is the server's message without the value that it may quote. The detail, which may quote a row, and the
// context, which quotes a line of data, are never shown.
func withoutValue(pg *pgconn.PgError) string {
	const dataException = "22"
	if strings.HasPrefix(pg.Code, dataException) {
		return quotedValue.ReplaceAllString(pg.Message, "")
	}
	return pg.Message
}

// Code is the server's SQLSTATE; empty if the connection was lost.
func (e *RestoreError) Code() string {
	var pg *pgconn.PgError
	if !errors.As(e.Err, &pg) {
		return ""
	}
	return pg.Code
}

// Cause is why the restore failed.
func (e *RestoreError) Cause() postgres.Cause {
	var pg *pgconn.PgError
	switch {
	case e.unknown:
		return CommitUnknown
	case !errors.As(e.Err, &pg):
		return ConnectionLost
	case pg.Code == "42704" && strings.HasPrefix(e.Statement, "set "):
		return NewerSetting
	case slices.Contains([]string{"0A000", "58P01"}, pg.Code) && strings.HasPrefix(e.Statement, "create extension "):
		return ExtensionMissing
	case slices.Contains([]string{"42P06", "42P07", "42710", "42723"}, pg.Code) && e.emptied:
		return StillExists
	case slices.Contains([]string{"42P06", "42P07", "42710", "42723"}, pg.Code):
		return AlreadyExists
	case pg.Code == "42501" && strings.HasPrefix(pg.Message, "must be owner"):
		return OwnershipDenied
	case pg.Code == "42501":
		return CreateDenied
	case pg.Code == "55P03":
		return TargetLocked
	case pg.Code == "53100":
		return DiskFull
	case lacksLocks(pg):
		return RestoreLocks
	case slices.Contains([]string{"42P01", "42704", "42883", "3F000"}, pg.Code):
		return NotInTarget
	case strings.HasPrefix(pg.Code, "57P"):
		return SessionTerminated
	}
	return RestoreRolledBack
}

// UncountedError is the error of a restore that was committed, and whose rows could not be counted afterwards.
type UncountedError struct{ Err error }

func (e *UncountedError) Error() string {
	return "the backup is restored, but its rows could not be counted: " + e.Err.Error()
}

func (e *UncountedError) Unwrap() error { return e.Err }
