package catalog_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/org/neon-tenants-action/internal/catalog"
	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/postgres/pgtest"
)

func TestListReadsAnyQuery(t *testing.T) {
	url := pgtest.Database(t)
	ask(t, url, "create table schools (school_id int primary key, school_name text, school_database text, city text); "+
		"insert into schools values (1, 'North', 'north', 'Oslo'), (2, 'South', null, null), (3, 'East', '', null)")
	rows, err := catalog.List(t.Context(), target(t, url),
		"select city, school_database as database, school_name as name, school_id as id, "+
			"case when school_id = 2 then 'postgresql://u:p@h/d' end as url, "+
			"case when school_id = 3 then 'p-3' end as neon_project_id from schools order by 4")
	if err != nil {
		t.Fatal(err)
	}
	want := []catalog.Row{
		{Name: "North", ID: "1", Database: "north"},
		{Name: "South", ID: "2", URL: fleet.NewSecret("postgresql://u:p@h/d")},
		{Name: "East", ID: "3", NeonProjectID: "p-3"},
	}
	if !slices.Equal(rows, want) {
		t.Errorf("got %v, want %v", rows, want)
	}
	rows, err = catalog.List(t.Context(), target(t, url),
		"select school_name as name, school_name as database from schools where false")
	if err != nil || len(rows) != 0 {
		t.Errorf("an empty catalog: %v, %v", rows, err)
	}
}

func TestListRefusesWhatItCannotUse(t *testing.T) {
	url := pgtest.Database(t)
	ask(t, url, "create table t (i int); create function add() returns text language sql volatile as "+
		"'insert into t values (1) returning i::text'")
	const rename, place = "name the columns with as", "a place of its own"
	for query, want := range map[string][2]string{
		"": {
			`the catalog's own tables cannot be read: ERROR: relation "public.project" does not exist`,
			"set catalog-url to the same",
		},
		"select 1 as id, 'x' as database": {`no column name; it has the columns "id", "database"`, rename},
		"select 'x' as name, 'x' as school": {
			`none of the columns url, database and neon_project_id; it has the columns "name", "school"`, rename,
		},
		"select 'x' as name, 'x' as url, 1 as url": {"two columns named url", rename},
		"select 'x' as \"Name\", 'x' as database":  {`no column name; it has the columns "Name", "database"`, rename},
		"select null as name, 'x' as database":     {"row 1 of 1 has no name", "where name <> ''"},
		"select '' as name, 'x' as database":       {"row 1 of 1 has no name", "where name <> ''"},
		"select 'x' as name, '' as id, 'x' as url": {`the row of "x" has no id`, "leave the column out"},
		"values ('x')": {`it has the columns "column1"`, ""},
		"select 'x' as name, d as database from (values ('a'), ('b')) v (d)": {
			`the rows of "x" and "x" have the same id "x"`, "the name is the id",
		},
		"select n as name, 'a' as database from (values ('x'), ('y')) v (n)": {
			`the rows of "x" (x) and "y" (y) have the same database`, place,
		},
		"select n as name, 'postgresql://u:hush@h/d' as url from (values ('x'), ('y')) v (n)": {
			`the rows of "x" (x) and "y" (y) have the same url`, place,
		},
		"select 'x' as name, 'x' as database; drop table t":               {"42601", "one select"},
		"select 'x' as name, add() as database":                           {"25006", "changes nothing"},
		"insert into t values (1) returning 'x' as name, 'x' as database": {"25006", "changes nothing"},
		"set transaction read write":                                      {"no columns at all", ""},
		"copy t to stdout":                                                {"", ""},
		"copy t from stdin":                                               {"", ""},
		"selec":                                                           {"42601", "one select"},
		"select pg_terminate_backend(pg_backend_pid())":                   {"it was not answered", ""},
		"select * from nowhere":                                           {"42P01", "search_path"},
		"select $1 as name, 'x' as url":                                   {"", ""},
	} {
		rows, err := catalog.List(t.Context(), target(t, url), query)
		if err == nil || !strings.Contains(err.Error(), want[0]) || !strings.Contains(fleet.Remedy(err), want[1]) ||
			strings.Contains(err.Error(), "hush") {
			t.Errorf("%q: %v, %v\n→ %s", query, rows, err, fleet.Remedy(err))
		}
	}
	equal(t, "table", ask(t, url, "select count(*) from t"), []string{"0"})
}
