package backup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/org/neon-tenants-action/internal/bucket"
	"github.com/org/neon-tenants-action/internal/pgdump"
)

// A refusal that is about the dump leaves it out of the backups, one that is about the server does not.
func TestRefused(t *testing.T) {
	server := func(code, statement string) error {
		return &pgdump.RestoreError{Statement: statement, Err: &pgconn.PgError{Code: code}}
	}
	for name, c := range map[string]struct {
		err         error
		whole, part bool // whether it is refused
	}{
		"rows differ":            {&pgdump.MismatchError{}, true, true},
		"not pg_dump's":          {&pgdump.BackupError{}, true, true},
		"damaged on its way":     {&pgdump.BackupError{Err: &bucket.Error{Err: errors.New("x")}}, false, false},
		"a refusal of the store": {&bucket.Error{Status: 503, Err: errors.New("x")}, false, false},
		"a newer major":          {&pgdump.BackupError{Cause: pgdump.NewerBackup}, false, false},
		"duplicate key":          {server("23505", "alter table"), true, true},
		"invalid text":           {server("22P02", "copy t"), true, true},
		"a function that raises": {server("P0001", "copy t"), true, true},
		"a missing table":        {server("42P01", "create view v"), true, false},
		"a missing function":     {server("42883", "create index i"), true, false},
		"a missing collation":    {server("42704", "create table t"), false, false},
		"a character":            {server("22P05", "copy t"), false, false},
		"a setting":              {server("42704", "set transaction_timeout"), false, false},
		"a privilege":            {server("42501", "create event trigger e"), false, false},
		"an extension":           {server("58P01", "create extension e"), false, false},
		"a full disk":            {server("53100", "copy t"), false, false},
		"no room for locks":      {server("53200", "create table t"), false, false},
		"a lost connection":      {&pgdump.RestoreError{Err: errors.New("reset")}, false, false},
		"a cancelled run":        {context.Canceled, false, false},
		"an extension's absence": {
			lacksExtension(server("42704", "create table t"), []error{errors.New("x")}), false, false,
		},
		"nothing to do with that": {lacksExtension(server("23505", "copy t"), []error{errors.New("x")}), true, true},
	} {
		err := fmt.Errorf("wrapped: %w", c.err)
		if whole, part := refused(err, false), refused(err, true); whole != c.whole || part != c.part {
			t.Errorf("%s: got %v, of a part %v", name, whole, part)
		}
		remedy, ofStore := forVerification(err), errors.As(err, new(*bucket.Error))
		if remedy == "" || ofStore && strings.Contains(remedy, "verify-database-url") {
			t.Errorf("%s has the remedy %q", name, remedy)
		}
	}
}

// Only other bytes than those that were stored are a reason to delete an upload.
func TestAltered(t *testing.T) {
	const text, sum = "no dump", "722a0547bb2e6608bd0ebbbd8dcb259d51758760ef292684cc03d4eda04668bf"
	for name, c := range map[string]struct {
		r       io.Reader
		altered bool
	}{
		"nothing that a program can read": {strings.NewReader(text), false},
		"another byte":                    {strings.NewReader("No dump"), true},
		"cut short":                       {strings.NewReader(text[:3]), true},
		"a read that breaks off":          {iotest.TimeoutReader(iotest.OneByteReader(strings.NewReader(text))), false},
	} {
		if err := altered(c.r, sum); (err != nil) != c.altered {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestCompareNote(t *testing.T) {
	for want, c := range map[string]pgdump.Compared{
		"0 rows in 0 tables, counted in the database":                {},
		"2 rows in 1 table, counted in the database and in the dump": {Rows: 2, Tables: 1, Dumped: true},
		"1 row in 2 tables, counted in the database; of 1 table only what the server took": {
			Rows: 1, Tables: 2, Uncounted: []string{"x"},
		},
	} {
		if got := compareNote(c); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
