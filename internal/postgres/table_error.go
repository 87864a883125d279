package postgres

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
)

// Why a table of versions, or the list of schemas, cannot be used.
const (
	NoSchema         Cause = "no schema for the table"
	OtherSchema      Cause = "table in another schema"
	VersionsNotOurs  Cause = "versions not the tool's"
	VersionsRefused  Cause = "versions not readable"
	VersionsHidden   Cause = "versions hidden by row security"
	SchemaListColumn Cause = "schema list without names"
	SchemaListDenied Cause = "schema list not readable"
)

// TableError is the error of a table of versions, or of the list of schemas, that cannot be used.
type TableError struct {
	Cause   Cause
	Table   Table // as it was named; with [OtherSchema], where it was found
	Problem string
}

func (e *TableError) Error() string { return e.Problem }

// versionsError explains why the versions in t could not be read.
func versionsError(err error, t Table) error {
	var pg *pgconn.PgError
	switch {
	case errors.As(err, &pg) && pg.Routine == "check_enable_rls":
		return &TableError{VersionsHidden, t,
			fmt.Sprintf("row security would hide rows of %s from the role, so what is applied is not known",
				t.Quoted())}
	case HasCode(err, "42501"):
		return &TableError{VersionsRefused, t, fmt.Sprintf("the role may not read %s: %v", t.Quoted(), err)}
	}
	return fmt.Errorf("read applied versions: %w", err)
}

// NotRecordable explains why a version cannot be recorded in t. It is a [*TableError] only if that is due to the table,
// and not to the server's state: a standby, a lock, a full disk.
func NotRecordable(err error, t Table, version string) error {
	var pg *pgconn.PgError
	server := errors.As(err, &pg) && (pg.Code == "55P03" || slices.ContainsFunc(
		[]string{"25", "40", "53", "57", "58"}, func(class string) bool { return strings.HasPrefix(pg.Code, class) }))
	if server {
		return fmt.Errorf("version %s cannot be recorded in %s: %w", version, t.Quoted(), err)
	}
	cause := VersionsNotOurs
	if HasCode(err, "42501") {
		cause = VersionsRefused
	}
	return &TableError{cause, t, fmt.Sprintf("version %s cannot be recorded in %s: %v", version, t.Quoted(), err)}
}

// listError explains why the names in l could not be read.
func listError(err error, l SchemaList) error {
	switch {
	case HasCode(err, "42P01"):
		return &MissingListError{l}
	case HasCode(err, "42703"):
		return &TableError{SchemaListColumn, l.Table, fmt.Sprintf("%s has no column name: %v", l, err)}
	case HasCode(err, "42501"):
		return &TableError{SchemaListDenied, l.Table, fmt.Sprintf("the role may not read %s: %v", l, err)}
	}
	return fmt.Errorf("read %s: %w", l, err)
}

// MissingListError is the error of a list of schemas that does not exist.
type MissingListError struct{ List SchemaList }

func (e *MissingListError) Error() string {
	return fmt.Sprintf("the database has no table %s, which is to list the schemas", e.List)
}

// UnlistedError is the error of dropping a schema that exists, but is not listed.
type UnlistedError struct {
	Schema string
	List   SchemaList
}

func (e *UnlistedError) Error() string {
	return fmt.Sprintf("schema %q is not listed in %s, and is left alone", e.Schema, e.List)
}

// Remedy says how the schema becomes one that may be dropped.
func (e *UnlistedError) Remedy() string {
	return fmt.Sprintf("to have it dropped, insert its name into %s and run again", e.List)
}
