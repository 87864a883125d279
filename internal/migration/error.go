package migration

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/org/neon-tenants-action/internal/postgres"
	"github.com/org/neon-tenants-action/internal/words"
)

// Why a migration failed, and in which state it left the database.
const (
	// NotRecorded: its statements ran outside a transaction, and recording its version failed.
	NotRecorded postgres.Cause = "migration not recorded"
	// RecordUnknown: the same, and the connection broke before the server said whether it recorded the version.
	RecordUnknown postgres.Cause = "record of a migration unknown"
	// LostOutsideTransaction: the connection broke while it ran outside a transaction.
	LostOutsideTransaction postgres.Cause = "connection lost outside a transaction"
	// ConnectionLost: the connection broke, and the migration was applied and recorded, or neither.
	ConnectionLost postgres.Cause = "connection lost in a migration"
	// IndexInvalid: it is not recorded, because indexes that it was to build are invalid.
	IndexInvalid postgres.Cause = "invalid index"
	// AppliedInPart: part of it was committed before it failed.
	AppliedInPart postgres.Cause = "migration applied in part"
	// LockReleased: it released the lock on the database. It is applied and recorded; those after it are not.
	LockReleased postgres.Cause = "lock released"
	// SessionEnded: the session ended after its commit. It is applied and recorded; those after it are not.
	SessionEnded postgres.Cause = "session ended after a migration"
	// HeldByBackup: those that share the lock on the database kept it; nothing was begun.
	HeldByBackup postgres.Cause = "lock held by a backup"
	// TableLocked: PostgreSQL's lock_timeout was reached. After this cause and those below, the file was rolled back.
	TableLocked      postgres.Cause = "table locked"
	PrivilegeMissing postgres.Cause = "privilege missing"
	DiskFull         postgres.Cause = "no room on the server"
	LimitReached     postgres.Cause = "memory, locks or temporary files used up"
	ReadOnly         postgres.Cause = "session read-only"
	TimeOut          postgres.Cause = "statement_timeout reached"

	// Of a [BaselineError].
	BaselineReadOnly postgres.Cause = "baseline in a read-only session"
	BaselineTimeOut  postgres.Cause = "baseline over the statement_timeout"
	Stopped          postgres.Cause = "migration stopped"      // cancelled, or its session was terminated
	NameElsewhere    postgres.Cause = "name in another schema" // the schema that is migrated has none of that name
	AlreadyThere     postgres.Cause = "already in the database"
	NoTransaction    postgres.Cause = "not possible in a transaction"
	RolledBack       postgres.Cause = "migration rolled back"
)

// Errors that no server reports.
var (
	errIndexInvalid = errors.New("it leaves an invalid index")
	errLockReleased = errors.New("it released the lock that keeps other runs away; it is applied and recorded, and " +
		"no file after it was run")
	errLockReleasedInside = errors.New("it released the lock that keeps other runs away")
	errNotKept            = errors.New("the table does not keep versions as they are (the type of its column, a rule or " +
		"a trigger changes them)")
	errPathChanged = errors.New("it changed the search_path, so that names without a schema mean another one")
)

// Error is the error of a migration that failed on one database.
type Error struct {
	Version string
	// Versions are those of all files in its transaction: more than one only if they are committed together.
	Versions []string
	File     string                  // relative to the workspace
	Line     int                     // in the file, from 1; 0 if the server named no place
	Column   int                     // in characters, from 1
	Table    string                  // with [NotRecorded] and [RecordUnknown]: where the version belongs, quoted
	Invalid  []postgres.InvalidIndex // left by it, or by an earlier attempt
	Err      error

	snippet       string // the failing line of the file, with a mark under the column
	context       string // the functions in which it arose
	notRecorded   bool
	recordUnknown bool // it may be recorded all the same
	lost          bool // the connection broke
	outside       bool // it ran outside a transaction
	partial       bool // part of it was committed
	released      bool // it released the lock, and is recorded all the same
	ended         bool // the session ended once it was recorded
	elsewhere     bool // names without a schema mean one schema only
}

func (e *Error) Error() string {
	place := e.File
	switch others := len(e.Versions) - 1; {
	case e.Line > 0:
		place += ":" + strconv.Itoa(e.Line) + ":" + strconv.Itoa(e.Column)
	case others > 0:
		place += " (with " + words.Count(others, "file that is", "files that are") + " committed together with it)"
	}
	left := ""
	if len(e.Invalid) > 0 && !errors.Is(e.Err, errIndexInvalid) {
		left = "; it left an invalid index: " + e.invalid()
	}
	var pg *pgconn.PgError
	switch {
	case e.lost:
		return fmt.Sprintf("%s: the connection was lost while it ran: %v", place, e.Err)
	case errors.As(e.Err, &pg):
		text := strings.TrimSuffix(e.Err.Error(), pg.Error()) // what was added around the server's text
		text += fmt.Sprintf("%s (SQLSTATE %s)", pg.Message, pg.Code)
		if pg.Hint != "" {
			text += "; hint: " + pg.Hint
		}
		text += e.context
		return place + ": " + text + left + e.snippet
	case errors.Is(e.Err, errIndexInvalid):
		return fmt.Sprintf("%s: %v: %s", place, e.Err, e.invalid())
	}
	return fmt.Sprintf("%s: %v%s", place, e.Err, left)
}

func (e *Error) invalid() string {
	names := make([]string, len(e.Invalid))
	for i, index := range e.Invalid {
		names[i] = index.String()
	}
	return strings.Join(names, ", ")
}

// Drop is SQL that drops the invalid indexes, each statement to be sent alone.
func (e *Error) Drop() string {
	var drops []string
	for _, index := range e.Invalid {
		drops = append(drops, "drop index concurrently "+index.String()+";")
	}
	return strings.Join(drops, " ")
}

func (e *Error) Unwrap() error { return e.Err }

// Location is the place of the failing statement in the workspace.
func (e *Error) Location() (file string, line int) { return e.File, e.Line }

// OutsideTransaction reports whether it did not run in a transaction of its own.
func (e *Error) OutsideTransaction() bool { return e.outside }

// Cause is why the migration failed, and in which state it left the database.
func (e *Error) Cause() postgres.Cause {
	switch {
	case e.notRecorded:
		return NotRecorded
	case e.recordUnknown:
		return RecordUnknown
	case errors.Is(e.Err, errNotKept):
		return postgres.VersionsNotOurs
	case e.released:
		return LockReleased
	case e.ended:
		return SessionEnded
	case len(e.Invalid) > 0:
		return IndexInvalid
	case e.lost && e.outside:
		return LostOutsideTransaction
	case e.lost:
		return ConnectionLost
	case e.partial:
		return AppliedInPart
	case postgres.HasCode(e.Err, "55P03"):
		return TableLocked
	case postgres.HasCode(e.Err, "42501"):
		return PrivilegeMissing
	case postgres.HasCode(e.Err, "53100"):
		return DiskFull
	case postgres.HasCode(e.Err, "53200"), postgres.HasCode(e.Err, "53400"):
		return LimitReached
	case postgres.HasCode(e.Err, "25006"):
		return ReadOnly
	case IsTimeout(e.Err):
		return TimeOut
	case postgres.HasCode(e.Err, "57014"), postgres.HasCode(e.Err, "57P01"):
		return Stopped
	case e.elsewhere && isUnknownName(e.Err):
		return NameElsewhere
	case isTaken(e.Err):
		return AlreadyThere
	case postgres.HasCode(e.Err, "25001") && !e.outside:
		return NoTransaction
	}
	return RolledBack
}

// IsTimeout reports whether a statement_timeout ended the statement.
func IsTimeout(err error) bool {
	return postgres.HasCode(err, "57014") && strings.Contains(err.Error(), "statement timeout")
}

// isTaken reports whether there is a table, column, schema, function or other object of a name already.
func isTaken(err error) bool {
	return slices.ContainsFunc([]string{"42P07", "42701", "42P06", "42723", "42710"}, func(code string) bool {
		return postgres.HasCode(err, code)
	})
}

// isUnknownName reports whether the server knows no table, function, type or operator of a name.
func isUnknownName(err error) bool {
	return slices.ContainsFunc([]string{"42P01", "42883", "42704"}, func(code string) bool {
		return postgres.HasCode(err, code)
	})
}

// snippet shows a line of the text with a mark under a column, both counted from 1, and cuts a long line around the
// column. shown is the line's number in the file.
func snippet(text string, line, column, shown int) string {
	const before, after = 60, 60 // characters around the column
	runes := []rune(strings.TrimRight(strings.Split(text, "\n")[line-1], "\r"))
	from := max(0, column-1-before)
	to := min(len(runes), column-1+after)
	gutter := fmt.Sprintf("%5d | ", shown)
	code := strings.ReplaceAll(string(runes[from:to]), "\t", " ")
	return "\n" + gutter + code + "\n" + strings.Repeat(" ", len(gutter)+column-1-from) + "^"
}

// OrderError is the error of a pending migration that [Options].Strict refuses.
type OrderError struct{ File, Highest string }

func (e *OrderError) Error() string {
	return fmt.Sprintf("%s is pending, but the higher version %s is applied already", e.File, e.Highest)
}

// SkippedError is the error of a file that drizzle's journal skips for good, which [Options].Strict refuses.
type SkippedError struct {
	File    string
	Highest string // the latest recorded time
}

func (e *SkippedError) Error() string {
	return fmt.Sprintf("%s is not applied and would be skipped for good: a file with a later time, %s, is applied already",
		e.File, e.Highest)
}

// StrangersError is the error of a table of drizzle 0.x that cannot get the form of 1.0: rows belong to no folder.
type StrangersError struct {
	Table postgres.Table
	Rows  []string // their times
}

func (e *StrangersError) Error() string {
	return fmt.Sprintf("%s records migrations that are no folder's: created_at is %s; nothing was applied",
		e.Table.Quoted(), words.List(e.Rows, 3))
}

// BeginningError is the error of recorded versions that [Options].Beginning refuses.
type BeginningError struct {
	Table   postgres.Table
	Unknown []string // recorded versions that have no file
	Skipped []string // files that are not recorded although later ones are
}

func (e *BeginningError) Error() string {
	if len(e.Unknown) > 0 {
		return fmt.Sprintf("%s records version %s, for which there is no file; nothing was applied", e.Table.Quoted(),
			e.Unknown[0])
	}
	return fmt.Sprintf("%s records later versions, but not that of %s; nothing was applied", e.Table.Quoted(),
		e.Skipped[0])
}

// LockError is the error of another run's lock that was not released in time.
type LockError struct {
	Waited time.Duration
	Holder string // the session that holds it, as the server describes it; may be empty
	Shared bool   // by those that share it: backups
}

// Cause is [HeldByBackup], or empty.
func (e *LockError) Cause() postgres.Cause {
	if e.Shared {
		return HeldByBackup
	}
	return ""
}

func (e *LockError) Error() string {
	holder := ""
	if e.Holder != "" {
		holder = " (" + e.Holder + ")"
	}
	return fmt.Sprintf("%s%s; waited %s for it", whoHolds(e.Shared), holder, e.Waited.Round(time.Second))
}
