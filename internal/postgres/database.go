package postgres

import (
	"bytes"
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

// maxName is how many bytes of a name PostgreSQL keeps. It cuts longer ones without an error, also when one connects, so that
// two names may be one database.
const maxName = 63

// DatabaseNameError says why a name cannot be that of a tenant's database.
type DatabaseNameError struct{ Name, Problem string }

func (e *DatabaseNameError) Error() string {
	return fmt.Sprintf("the database's name %q %s", e.Name, e.Problem)
}

// Remedy tells what name to take.
func (e *DatabaseNameError) Remedy() string {
	return fmt.Sprintf("give the tenant a database of its own, with a name of at most %d bytes of printable characters", maxName)
}

// CheckDatabaseName refuses names that PostgreSQL would cut or not take, and those of databases that every server has. All
// others are taken as they are, quotes and semicolons included.
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

// templateTries is how often a template that others are copying is asked for, a second apart.
const templateTries = 3

// CreateDatabase makes an empty database on the server that c is connected to, and reports whether it was this call that made it. One
// that is there already, also since another run has just made it, is left alone.
func CreateDatabase(ctx context.Context, c *Conn, name string) (made bool, err error) {
	if err := CheckDatabaseName(name); err != nil {
		return false, err
	}
	for try := 1; ; try++ {
		_, err = c.Exec(ctx, "create database "+sqltext.QuoteIdentifier(name)+" template template0")
		switch {
		case err == nil:
			return true, nil
		case HasCode(err, "42P04"), HasCode(err, "23505"): // the latter where two are made at the very same time
			return false, nil
		case HasCode(err, "42501"):
			return false, &privilegeError{fmt.Errorf("create database %q: %w", name, err)}
		case HasCode(err, "55006") && try < templateTries: // somebody else is copying the template
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

// privilegeError is a role that may not make databases.
type privilegeError struct{ error }

func (e *privilegeError) Unwrap() error { return e.error }
func (e *privilegeError) Remedy() string {
	return "let the role make databases: alter role … createdb"
}

// DropDatabase drops a database and ends its sessions. One that is not there is no error.
func DropDatabase(ctx context.Context, c *Conn, name string) error {
	if err := CheckDatabaseName(name); err != nil {
		return err
	}
	if _, err := c.Exec(ctx, "drop database if exists "+sqltext.QuoteIdentifier(name)+" with (force)"); err != nil {
		return fmt.Errorf("drop database %q: %w", name, err)
	}
	return nil
}

// Rows are a query's answer, all of it. A nil value is NULL.
type Rows struct {
	Columns []string
	Values  [][][]byte
}

// Query runs one statement with parameters ($1, …) as text, and returns its
// rows as text. Several statements in one are refused by the server.
func (c *Conn) Query(ctx context.Context, sql string, parameters ...string) (Rows, error) {
	values := make([][]byte, len(parameters))
	for i, p := range parameters {
		values[i] = []byte(p)
	}
	var rows Rows
	reader := c.pg.ExecParams(ctx, sql, values, nil, nil, nil)
	for reader.NextRow() {
		row := make([][]byte, len(reader.Values()))
		for i, v := range reader.Values() {
			row[i] = bytes.Clone(v) // the reader's own are overwritten by the next
		}
		rows.Values = append(rows.Values, row)
	}
	for _, f := range reader.FieldDescriptions() { // known also where there are no rows
		rows.Columns = append(rows.Columns, f.Name)
	}
	if _, err := reader.Close(); err != nil {
		return Rows{}, err
	}
	return rows, nil
}

// MajorOf is the major version in "17.6", "18beta1" or "19devel"; 0 where there is none.
func MajorOf(version string) int {
	end := strings.IndexFunc(version, func(r rune) bool { return r < '0' || r > '9' })
	if end < 0 {
		end = len(version)
	}
	n, _ := strconv.Atoi(version[:end])
	return n
}

// ServerMajor is the server's major version, 17.
func (c *Conn) ServerMajor() int { return MajorOf(c.ServerVersion()) }

// DatabaseSize is what the database takes on the server's disk, in bytes, indexes and dead rows included: an upper bound,
// roughly, of what a plain dump is long.
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
