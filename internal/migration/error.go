package migration

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
)

// snippet draws a line of the text with a mark under a column, both from 1, cut around the column where it is long.
func snippet(text string, line, column, shown int) string {
	const before, after = 60, 60 // characters around the column
	runes := []rune(strings.TrimRight(strings.Split(text, "\n")[line-1], "\r"))
	from := max(0, column-1-before)
	to := min(len(runes), column-1+after)
	gutter := fmt.Sprintf("%5d | ", shown)
	code := strings.ReplaceAll(string(runes[from:to]), "\t", " ")
	return "\n" + gutter + code + "\n" + strings.Repeat(" ", len(gutter)+column-1-from) + "^"
}

// Error is a migration that failed on one tenant.
type Error struct {
	Version string
	File    string // relative to the workspace
	Line    int    // in the file, from 1; 0 where the server named no place
	Column  int    // in characters, from 1
	Err     error
	Fix     string // a remedy that fits better than the general one

	snippet    string // the failing line of the file, with a mark under the column
	lost       bool   // the connection broke: what became of the migration is not known
	unrecorded bool   // it ran outside of a transaction
}

func (e *Error) Error() string {
	place := e.File
	if e.Line > 0 {
		place += ":" + strconv.Itoa(e.Line) + ":" + strconv.Itoa(e.Column)
	}
	var pg *pgconn.PgError
	switch {
	case e.lost:
		return fmt.Sprintf("%s: the connection was lost while it ran: %v", place, e.Err)
	case errors.As(e.Err, &pg):
		text := strings.TrimSuffix(e.Err.Error(), pg.Error()) // what was added around the server's words
		text += fmt.Sprintf("%s (SQLSTATE %s)", pg.Message, pg.Code)
		if pg.Hint != "" {
			text += "; hint: " + pg.Hint
		}
		return place + ": " + text + e.snippet
	}
	return fmt.Sprintf("%s: %v", place, e.Err)
}

func (e *Error) Unwrap() error { return e.Err }

// Location is where in the workspace the failing statement stands.
func (e *Error) Location() (file string, line int) { return e.File, e.Line }

// Remedy says what state the tenant is in and what to do.
func (e *Error) Remedy() string {
	var pg *pgconn.PgError
	known := errors.As(e.Err, &pg)
	switch {
	case e.Fix != "":
		return e.Fix
	case e.lost && e.unrecorded:
		return "it runs outside of a transaction, so part of it may have been applied without being recorded: look at the tenant before you run again"
	case e.lost:
		return "run again: it was applied and recorded, or neither, and it is never applied twice"
	case e.unrecorded:
		return "it runs outside of a transaction, so what came before the failing statement stands: undo that or make the file repeatable, then run again"
	case known && pg.Code == "55P03":
		return "another session holds a lock on a table that the migration changes: run at a quieter hour, or raise statement-lock-timeout; the file was rolled back"
	case known && pg.Code == "42501":
		return "the role may not do this: grant it the privilege, or name a role that has it with role-name; the file was rolled back"
	case known && (pg.Code == "57014" || pg.Code == "57P01"):
		return "the statement was stopped and the file rolled back; run again"
	}
	return "the file was rolled back and the tenant is at the version before it: correct the file or the tenant's data, then run again"
}
