package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/org/neon-tenants-action/internal/sqltext"
)

// MissingSchemaError is the error of a schema that the database does not have.
type MissingSchemaError struct{ Schema string }

func (e *MissingSchemaError) Error() string {
	return fmt.Sprintf("the database has no schema %q", e.Schema)
}

// reserved are the words that cannot name a schema without quotes in PostgreSQL 14 to 18. Sooner or later, somebody
// writes a name that needs quotes without them.
var reserved = strings.Fields(`all analyse analyze and any array as asc asymmetric authorization binary both case cast
	check collate collation column concurrently constraint create cross current_catalog current_date current_role
	current_schema current_time current_timestamp current_user default deferrable desc distinct do else end except false
	fetch for foreign freeze from full grant group having ilike in initially inner intersect into is isnull join lateral
	leading left like limit localtime localtimestamp natural not notnull null offset on only or order outer overlaps
	placing primary references returning right select session_user similar some symmetric system_user table tablesample
	then to trailing true union unique user using variadic verbose when where window with`)

// SchemaName refuses names that a new schema may not have. It must begin with a letter or an underscore, contain only
// letters, digits and underscores, be at most 63 bytes long, and be neither a reserved word nor a name of the system's.
// The error continues a sentence that begins with the name.
func SchemaName(name string) error {
	if err := SchemaUsable(name); err != nil {
		return err
	}
	for i, c := range []byte(name) {
		letter := c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		if !letter && (i == 0 || c < '0' || c > '9') {
			return errors.New("must begin with a letter or an underscore and hold letters (a to z), digits and " +
				"underscores only")
		}
	}
	if lower := strings.ToLower(name); slices.Contains(reserved, lower) {
		return errors.New("is a reserved word of SQL")
	} else if strings.HasPrefix(lower, "pg_") || lower == "public" || lower == "information_schema" {
		return errors.New("looks like one of the system's own schemas")
	}
	return nil
}

// SchemaUsable refuses names that are never those of a user's schema: the system's schemas, public, and names that the
// server reads as another name. The error continues a sentence that begins with the name.
func SchemaUsable(name string) error {
	switch {
	case name == "":
		return errors.New("is empty")
	case len(name) > maxName:
		return fmt.Errorf("has %d bytes; PostgreSQL cuts names after %d, and would mean another schema",
			len(name), maxName)
	case name == "public" || name == "information_schema" || strings.HasPrefix(name, "pg_"):
		return errors.New("is one of the system's own schemas")
	case name == "$user":
		return errors.New("stands for the role's name in a search_path and for no schema")
	case strings.ContainsRune(name, 0):
		return errors.New("holds a character that no name can have")
	}
	return nil
}

// SchemaSize is the space that the tables of a schema take, with their indexes and TOAST tables, in bytes. Errors:
// [*MissingSchemaError], the server's.
func (c *Conn) SchemaSize(ctx context.Context, schema string) (int64, error) {
	literal := sqltext.QuoteLiteral(schema)
	answers, err := c.Results(ctx, "select coalesce(sum(pg_catalog.pg_total_relation_size(c.oid)), 0)::bigint, "+
		"(select count(*) from pg_catalog.pg_namespace where nspname = "+literal+") "+
		"from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace "+
		"where c.relkind in ('r', 'm') and n.nspname = "+literal)
	if err != nil {
		return 0, fmt.Errorf("ask for the size of schema %q: %w", schema, err)
	}
	row := answers[0][0]
	if string(row[1]) == "0" {
		return 0, &MissingSchemaError{schema}
	}
	return strconv.ParseInt(string(row[0]), 10, 64)
}
