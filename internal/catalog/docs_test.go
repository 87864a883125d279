package catalog_test

import (
	"context"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/org/neon-tenants-action/internal/catalog"
	"github.com/org/neon-tenants-action/internal/postgres/pgtest"
)

// queries returns docs/catalog.md and the SQL in it, by the comment with which each query begins.
func queries(t *testing.T) (text string, byTitle map[string]string) {
	t.Helper()
	data, err := os.ReadFile("../../docs/catalog.md")
	if err != nil {
		t.Fatal(err)
	}
	byTitle = map[string]string{}
	for _, m := range regexp.MustCompile("(?s)```sql\n-- ([^\n]+)\n(.*?)```").FindAllStringSubmatch(string(data), -1) {
		byTitle[m[1]] = m[2]
	}
	if blocks := strings.Count(string(data), "```sql"); blocks != len(byTitle) {
		t.Errorf("%d blocks of SQL, %d titles", blocks, len(byTitle))
	}
	return string(data), byTitle
}

// TestDocumentedQueries runs every query of the documentation on a fleet for which the answers are known.
func TestDocumentedQueries(t *testing.T) {
	_, docs := queries(t)
	url := pgtest.Database(t)
	c := open(t, url)
	now := databaseTime(t, url)
	entry := func(name string, f catalog.Facts) catalog.Entry {
		return catalog.Entry{
			Name: name, Key: name, Source: "neon", ID: name, NeonProjectID: name, SeenAt: now, Facts: f,
		}
	}
	day := 24 * time.Hour
	migrated := func(version, outcome string) catalog.Facts {
		return catalog.Facts{SchemaVersion: version, MigratedAt: now, Migration: outcome}
	}
	good, stale := migrated("20260201", "unchanged"), migrated("20260201", "succeeded")
	good.BackupAt, good.BackupKey, good.RestoredAt, good.RestoredKey = now.Add(-time.Hour), "good/1", now, "good/1"
	stale.BackupAt, stale.BackupKey = now.Add(-2*day), "stale/1"
	gone := migrated("20250101", "failed")
	gone.DroppedAt = now
	vanished := entry("vanished", good)
	vanished.SeenAt = now.Add(-3 * day)
	for _, r := range []struct {
		run     catalog.Run
		entries []catalog.Entry
	}{
		{
			catalog.Run{
				Mode: "backup", Source: "neon", Started: now.Add(-3 * day), Finished: now.Add(-3 * day), Failed: true,
			},
			[]catalog.Entry{vanished},
		},
		{
			catalog.Run{Mode: "migrate", Source: "neon", Started: now, Finished: now.Add(time.Second)},
			[]catalog.Entry{
				entry("good", good), entry("stale", stale), entry("failed", migrated("20250101", "failed")),
				entry("gone", gone), entry("new", catalog.Facts{}),
			},
		},
	} {
		if err := c.Record(t.Context(), r.run, r.entries); err != nil {
			t.Fatal(err)
		}
	}
	ask(t, url, "insert into customer (name, email) values ('Stale Ltd', 'ops@stale.example'); "+
		"update project set customer_id = (select customer_id from customer) where name = 'STALE'; "+
		"insert into payment (customer_id, amount, currency) "+
		"select customer_id, 20, 'EUR' from customer, generate_series(1, 2)")
	for title, want := range map[string]string{
		"who is behind":                   "failed, new",
		"which version where":             "20260201, 20250101, none known",
		"whose migration failed":          "failed",
		"who has no backup for a day":     "failed, new, stale",
		"who was never verified":          "failed, new, stale",
		"who has vanished":                "vanished",
		"when did each mode last succeed": "backup, migrate",
		"who pays and has no backup":      "Stale Ltd",
	} {
		if docs[title] == "" {
			t.Errorf("the documentation has no query %q", title)
			continue
		}
		if got := strings.Join(ask(t, url, docs[title]), ", "); got != want {
			t.Errorf("%s: %s, want %s", title, got, want)
		}
		delete(docs, title)
	}
	ask(t, url, docs["a new tenant"])
	delete(docs, "a new tenant")
	for title := range docs {
		t.Errorf("no test has the query %q", title)
	}
	equal(t, "the new tenant",
		ask(t, url, "select concat_ws(' ', name, database, identity) from project where source = 'catalog'"),
		[]string{"North School north_school database north_school"})
}

// databaseTime is now by the clock that the queries go by.
func databaseTime(t *testing.T, url string) time.Time {
	t.Helper()
	seconds, err := strconv.ParseInt(ask(t, url, "select extract(epoch from now())::bigint")[0], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return time.Unix(seconds, 0)
}

// TestDocumentedTables compares the documentation's picture of the tables with the tables.
func TestDocumentedTables(t *testing.T) {
	text, _ := queries(t)
	url := pgtest.Database(t)
	open(t, url)
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	rows, err := conn.Query(t.Context(), `select table_name,
			string_agg(case udt_name when 'int4' then 'integer' else udt_name end || ' ' || column_name, ', '
				order by ordinal_position)
		from information_schema.columns where table_schema = 'public' and table_name !~ 'migrations' group by 1`)
	if err != nil {
		t.Fatal(err)
	}
	tables, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (pair [2]string, err error) {
		return pair, row.Scan(&pair[0], &pair[1])
	})
	if err != nil || len(tables) != 5 {
		t.Fatalf("%v, %v", tables, err)
	}
	for _, table := range tables {
		block := regexp.MustCompile(`(?s)\n    ` + table[0] + ` \{\n(.*?)\n    \}`).FindStringSubmatch(text)
		if block == nil {
			t.Errorf("the picture has no %s", table[0])
			continue
		}
		var columns []string
		for line := range strings.Lines(block[1]) {
			columns = append(columns, strings.Join(strings.Fields(line)[:2], " "))
		}
		equal(t, table[0], strings.Join(columns, ", "), table[1])
	}
}
