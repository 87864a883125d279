package catalog

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/postgres"
)

// Query lists the tenants that the catalog's own tables know a place of.
const Query = `select name, coalesce(neon_project_id, database) as id, database, neon_project_id
from project
where dropped_at is null and (neon_project_id is not null or database is not null)
order by name, id`

// Row is one tenant as a query lists it.
type Row struct {
	Name string
	ID   string // of the column id, else the name
	// Places: one of them in a good row. NULL and the empty text are none.
	URL           fleet.Secret
	Database      string
	NeonProjectID string
}

// columns that a query's answer may have; others are passed over.
var columns = [...]string{"name", "id", "url", "database", "neon_project_id"}

// QueryError is a catalog-query that could not be run, or whose answer cannot be used.
type QueryError struct {
	Problem, Fix string
	Err          error
}

func (e *QueryError) Error() string { return "catalog-query: " + e.Problem }
func (e *QueryError) Unwrap() error { return e.Err }

// Remedy tells how to mend the query.
func (e *QueryError) Remedy() string { return e.Fix }

// List runs one query in a read-only session and returns its rows. An empty query is [Query]. Errors: those of connecting, or
// a [*QueryError].
func List(ctx context.Context, t postgres.Target, query string, o postgres.Options) ([]Row, error) {
	o.ReadOnly = true
	conn, err := postgres.Connect(ctx, t, o)
	if err != nil {
		return nil, err
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
		e.Fix = "set catalog-url to the same connection string as database-url, which makes the tables, or write a catalog-query for tables of your own"
	case postgres.HasCode(err, "42501"):
		e.Fix = "grant the role of database-url select on the table project"
	}
	return e
}

func queryError(err error) error {
	e := &QueryError{Problem: fmt.Sprintf("the server refused it: %v", err), Err: err}
	switch {
	case postgres.HasCode(err, "42601"):
		e.Fix = "write one select statement, such as select name, database from school; try it with psql"
	case postgres.HasCode(err, "25006"):
		e.Fix = "the query runs read-only: write a select that changes nothing"
	case postgres.HasCode(err, "42501"):
		e.Fix = "grant the role of database-url select on what the query reads"
	case postgres.HasCode(err, "42P01"), postgres.HasCode(err, "42703"):
		e.Fix = "compare the query with the tables of the database that database-url names; its search_path counts"
	}
	return e
}

// readRows finds the columns by name, in any order.
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
		r := Row{Name: value("name"), ID: value("id"), URL: fleet.NewSecret(value("url")), Database: value("database"), NeonProjectID: value("neon_project_id")}
		if r.Name == "" {
			return nil, &QueryError{Problem: fmt.Sprintf("row %d of %d has no name", i+1, len(list)), Fix: "leave such rows out with where name is not null, or name them"}
		}
		if at["id"] < 0 {
			r.ID = r.Name
		} else if r.ID == "" {
			return nil, &QueryError{Problem: fmt.Sprintf("the row of %q has no id", r.Name), Fix: "return an id in every row, or leave the column out: the name is the id then"}
		}
		list[i] = r
	}
	return list, unique(list)
}

func wrongColumns(have []string, problem string) error {
	quoted := make([]string, len(have))
	for i, c := range have {
		quoted[i] = fmt.Sprintf("%q", c)
	}
	came := "no columns at all"
	if len(have) > 0 {
		came = "the columns " + strings.Join(quoted, ", ")
	}
	return &QueryError{Problem: fmt.Sprintf("its answer has %s; it has %s", problem, came),
		Fix: "name the columns with as: name, one or more of url, database and neon_project_id, and id where names are not unique"}
}

// unique refuses rows that would be one tenant twice.
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
				return &QueryError{Problem: fmt.Sprintf("the rows of %q and %q have the same id %q", other.Name, r.Name, value),
					Fix: "return each tenant once, with a column id that is unique; without one the name is the id"}
			}
			return &QueryError{Problem: fmt.Sprintf("the rows of %q (%s) and %q (%s) have the same %s", other.Name, other.ID, r.Name, r.ID, kind),
				Fix: "give each tenant a place of its own, or return it once"}
		}
	}
	return nil
}
