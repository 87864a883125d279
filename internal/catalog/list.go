package catalog

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/postgres"
	"github.com/org/neon-tenants-action/internal/remedies"
	"github.com/org/neon-tenants-action/internal/words"
)

// Query lists the tenants whose database the catalog's own tables name.
const Query = `select name, coalesce(neon_project_id, database) as id, database, neon_project_id
from public.project
where dropped_at is null and (neon_project_id is not null or database is not null)
order by name, id`

// Row is one tenant as a query returns it.
type Row struct {
	Name string
	ID   string // from the column id; the name if the result has none
	// Where the tenant's database is: a good row has exactly one of these. NULL counts as empty.
	URL           fleet.Secret
	Database      string
	NeonProjectID string
}

// columns are those of a query's result that are read; others are ignored.
var columns = [...]string{"name", "id", "url", "database", "neon_project_id"}

// QueryError is the error of a catalog-query that could not be run, or whose result cannot be used.
type QueryError struct {
	Problem, Fix string
	Err          error
}

func (e *QueryError) Error() string { return "catalog-query: " + e.Problem }
func (e *QueryError) Unwrap() error { return e.Err }

// Remedy says how to fix the query; "" if that is not known.
func (e *QueryError) Remedy() string { return e.Fix }

// lockWait is how long a listing waits for a table that somebody has locked.
const lockWait = 10 * time.Second

// List runs one query in a read-only session and returns its rows. An empty query is [Query]. Its errors are those of
// connecting, or a [*QueryError].
func List(ctx context.Context, t postgres.Target, query string) ([]Row, error) {
	conn, err := postgres.Connect(ctx, t, postgres.Options{ReadOnly: true, LockTimeout: lockWait})
	if err != nil {
		return nil, remedies.Explain(err)
	}
	defer conn.Close()
	if query == "" {
		rows, err := conn.Query(ctx, Query)
		if err != nil {
			return nil, ownQueryError(err)
		}
		return readRows(rows)
	}
	rows, err := conn.Query(ctx, query)
	if err != nil {
		return nil, queryError(err)
	}
	return readRows(rows)
}

func ownQueryError(err error) error {
	e := &QueryError{Problem: fmt.Sprintf("the catalog's own tables cannot be read: %v", err), Err: err}
	switch {
	case postgres.HasCode(err, "42P01"), postgres.HasCode(err, "42703"):
		e.Fix = "set catalog-url to the same connection string as database-url, which creates the tables, " +
			"or write a catalog-query for tables of your own"
	case postgres.HasCode(err, "42501"):
		e.Fix = "grant the role of database-url select on the table project"
	case postgres.HasCode(err, "55P03"):
		e.Fix = lockedFix
	}
	return e
}

func queryError(err error) error {
	e := &QueryError{Problem: fmt.Sprintf("the server refused it: %v", err), Err: err}
	if !errors.As(err, new(*pgconn.PgError)) || postgres.HasCode(err, "57014") || postgres.HasCode(err, "57P01") {
		e.Problem = fmt.Sprintf("it was not answered: %v", err)
	}
	switch {
	case postgres.HasCode(err, "42601"):
		e.Fix = "write one select statement, such as select name, database from school; try it with psql"
	case postgres.HasCode(err, "25006"):
		e.Fix = "the query runs read-only: write a select that changes nothing"
	case postgres.HasCode(err, "42501"):
		e.Fix = "grant the role of database-url select on what the query reads"
	case postgres.HasCode(err, "42P01"), postgres.HasCode(err, "42703"):
		e.Fix = "compare the query with the tables in the database of database-url; its search_path counts"
	case postgres.HasCode(err, "55P03"):
		e.Fix = lockedFix
	}
	return e
}

const lockedFix = "another session has locked a table that is read: run again once it is done, or end it"

// readRows reads a result whose columns are in any order.
func readRows(rows postgres.Rows) ([]Row, error) {
	at := map[string]int{}
	for _, c := range columns {
		at[c] = slices.Index(rows.Columns, c)
		if i := at[c]; i >= 0 && slices.Contains(rows.Columns[i+1:], c) {
			return nil, wrongColumns(rows.Columns, "two columns named "+c)
		}
	}
	if at["name"] < 0 {
		return nil, wrongColumns(rows.Columns, "no column name")
	}
	if at["url"] < 0 && at["database"] < 0 && at["neon_project_id"] < 0 {
		return nil, wrongColumns(rows.Columns, "none of the columns url, database and neon_project_id")
	}
	list := make([]Row, len(rows.Values))
	for i, values := range rows.Values {
		value := func(column string) string {
			if at[column] < 0 {
				return ""
			}
			return string(values[at[column]])
		}
		r := Row{
			Name: value("name"), ID: value("id"), URL: fleet.NewSecret(strings.TrimSpace(value("url"))),
			Database: value("database"), NeonProjectID: value("neon_project_id"),
		}
		if r.Name == "" {
			return nil, &QueryError{Problem: fmt.Sprintf("row %d of %d has no name", i+1, len(list)),
				Fix: "exclude such rows with where name <> '', or give them names"}
		}
		if at["id"] < 0 {
			r.ID = r.Name
		} else if r.ID == "" {
			return nil, &QueryError{Problem: fmt.Sprintf("the row of %q has no id", r.Name),
				Fix: "return an id in every row, or leave the column out: the name is then the id"}
		}
		list[i] = r
	}
	return list, unique(list)
}

func wrongColumns(columns []string, problem string) error {
	has := "no columns at all"
	if len(columns) > 0 {
		has = "the columns " + words.ListFunc(columns, 20, strconv.Quote)
	}
	return &QueryError{Problem: fmt.Sprintf("its result has %s; it has %s", problem, has),
		Fix: "name the columns with as: name, at least one of url, database and neon_project_id, " +
			"and id unless the names are unique"}
}

// unique refuses rows that are the same tenant twice.
func unique(list []Row) error {
	seen := map[string]Row{}
	for _, r := range list {
		for i, value := range []string{r.ID, r.URL.Reveal(), r.Database, r.NeonProjectID} {
			if value == "" {
				continue
			}
			kind := columns[1+i]
			other, taken := seen[kind+" "+value]
			if !taken {
				seen[kind+" "+value] = r
				continue
			}
			if kind == "id" {
				return &QueryError{Problem: fmt.Sprintf("the rows of %q and %q have the same id %q", other.Name, r.Name,
					value),
					Fix: "return each tenant once, with a column id that is unique; without one, the name is the id"}
			}
			return &QueryError{
				Problem: fmt.Sprintf("the rows of %q (%s) and %q (%s) have the same %s",
					other.Name, other.ID, r.Name, r.ID, kind),
				Fix: "give each tenant a place of its own, or return it once",
			}
		}
	}
	return nil
}
