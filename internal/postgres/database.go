package postgres

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/org/neon-tenants-action/internal/sqltext"
)

// maxName is how many bytes of a name PostgreSQL keeps. It truncates longer ones without an error, also when
// connecting, so that two names may mean one object.
const maxName = 63

// DatabaseNameError says why a name is not accepted for a database.
type DatabaseNameError struct{ Name, Problem string }

func (e *DatabaseNameError) Error() string {
	return fmt.Sprintf("the database's name %q %s", e.Name, e.Problem)
}

// Remedy says which names are accepted.
func (e *DatabaseNameError) Remedy() string {
	return fmt.Sprintf("choose another database, with a name of at most %d bytes of printable characters", maxName)
}

// CheckDatabaseName refuses names that PostgreSQL truncates or does not accept, and those of databases that every
// server has. All others are accepted, quotes and semicolons included. The error is a [*DatabaseNameError].
func CheckDatabaseName(name string) error {
	problem := ""
	switch {
	case name == "":
		problem = "is empty"
	case len(name) > maxName:
		problem = fmt.Sprintf("has %d bytes; PostgreSQL keeps %d and cuts the rest off", len(name), maxName)
	case !utf8.ValidString(name):
		problem = "is not UTF-8"
	case strings.ContainsFunc(name, unicode.IsControl):
		problem = "has a line break or another control character in it"
	case slices.Contains([]string{"postgres", "template0", "template1"}, name):
		problem = "is that of a database which every server has for itself"
	}
	if problem != "" {
		return &DatabaseNameError{name, problem}
	}
	return nil
}

// MissingDatabase reports whether err says that the server has no database of that name.
func MissingDatabase(err error) bool { return HasCode(err, "3D000") }

// createTries is how often a database is created, a second apart, while another session copies the template.
const createTries = 3

// CreateDatabase creates an empty database on the server that c is connected to. If it exists already, or another run
// creates it at the same time, it is left alone, and created is false. Errors: [*DatabaseNameError], the server's, the
// cause of ctx.
func CreateDatabase(ctx context.Context, c *Conn, name string) (created bool, err error) {
	if err := CheckDatabaseName(name); err != nil {
		return false, err
	}
	for try := 1; ; try++ {
		_, err = c.Exec(ctx, "create database "+sqltext.QuoteIdentifier(name)+" template template0")
		switch {
		case err == nil:
			return true, nil
		case HasCode(err, "42P04"), HasCode(err, "23505"): // the latter if two are created at the very same time
			return false, nil
		case HasCode(err, "42501"):
			return false, &privilegeError{fmt.Errorf("create database %q: %w", name, err)}
		case HasCode(err, "55006") && try < createTries: // another session is copying the template
			select {
			case <-ctx.Done():
				return false, context.Cause(ctx)
			case <-time.After(time.Second):
			}
		default:
			return false, fmt.Errorf("create database %q: %w", name, err)
		}
	}
}

// privilegeError is the error of a role that may not create databases.
type privilegeError struct{ error }

func (e *privilegeError) Unwrap() error { return e.error }
func (e *privilegeError) Remedy() string {
	return "let the role create databases: alter role … createdb"
}

// DropDatabase drops a database and ends its sessions. It is no error if there is none.
func DropDatabase(ctx context.Context, c *Conn, name string) error {
	if err := CheckDatabaseName(name); err != nil {
		return err
	}
	if _, err := c.Exec(ctx, "drop database if exists "+sqltext.QuoteIdentifier(name)+" with (force)"); err != nil {
		return fmt.Errorf("drop database %q: %w", name, err)
	}
	return nil
}

// OldestMajor and NewestMajor bound the major versions whose client programs the image holds.
const (
	OldestMajor = 14
	NewestMajor = 18
)

// DatabaseExists reports whether the server has a database of that name. One whose DROP DATABASE was cut off does not
// count: nobody can connect to it any more.
func DatabaseExists(ctx context.Context, c *Conn, name string) (bool, error) {
	rows, err := c.Query(ctx, `select exists (select from pg_catalog.pg_database
		where datname = $1 and datconnlimit <> -2)`, name)
	if err != nil {
		return false, fmt.Errorf("look for database %q: %w", name, err)
	}
	return string(rows.Values[0][0]) == "t", nil
}

// MajorOf is the major version in "17.6", "18beta1" or "19devel"; 0 if there is none.
func MajorOf(version string) int {
	end := strings.IndexFunc(version, func(r rune) bool { return r < '0' || r > '9' })
	if end < 0 {
		end = len(version)
	}
	n, _ := strconv.Atoi(version[:end])
	return n
}

// DatabaseSize is the space that the database takes on the server's disk, in bytes, indexes and dead rows included:
// roughly an upper bound of a plain dump's size.
func (c *Conn) DatabaseSize(ctx context.Context) (int64, error) {
	answers, err := c.Results(ctx, "select pg_catalog.pg_database_size(pg_catalog.current_database())")
	if err != nil {
		return 0, fmt.Errorf("ask for the database's size: %w", err)
	}
	size, err := strconv.ParseInt(string(answers[0][0][0]), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("ask for the database's size: %w", err)
	}
	return size, nil
}
