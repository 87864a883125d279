package action

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	"github.com/jackc/pgx/v5"

	"github.com/org/neon-tenants-action/internal/mode/migrate"
	"github.com/org/neon-tenants-action/internal/neon"
	"github.com/org/neon-tenants-action/internal/neon/neontest"
	"github.com/org/neon-tenants-action/internal/postgres/wiretest"
	"github.com/org/neon-tenants-action/internal/servertest"
)

// throughBreakable returns the input for an API whose connection strings lead through a proxy that can be cut.
func (f *organisation) throughBreakable(t *testing.T, p neontest.Project) (input string, proxy *toxiproxy.Proxy) {
	t.Helper()
	through, proxy := wiretest.Breakable(t, p.URL)
	hosts := make([]string, 2)
	for i, text := range []string{p.URL, through} {
		u, err := url.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		hosts[i] = u.Host
	}
	return f.rewriting(t, hosts[0], hosts[1]), proxy
}

// rewriting returns the input for an API whose answers have one text in place of another.
func (f *organisation) rewriting(t *testing.T, old, now string) (input string) {
	t.Helper()
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer := httptest.NewRecorder()
		f.ServeHTTP(answer, r)
		w.Header().Set("Content-Type", answer.Header().Get("Content-Type"))
		w.WriteHeader(answer.Code)
		_, _ = w.Write([]byte(strings.ReplaceAll(answer.Body.String(), old, now)))
	}))
	t.Cleanup(front.Close)
	return "neon-api-url=" + front.URL + neontest.BasePath
}

// The test's sessions and the tenant's share an advisory lock of its database.
const (
	lock    = "select pg_advisory_lock(4711)"
	waiting = " from pg_locks where locktype = 'advisory' and objid = 4711 and not granted and " +
		"database = (select oid from pg_database where datname = current_database())"
)

// newLost is a fleet whose tenant was migrated, and then in run 7 by the texts, each the rest of a file after
// "-- migrate:up". The last one waits for the lock when the connection is cut: see [organisation.loses].
func newLost(t *testing.T, commits bool, texts ...string) (*organisation, outcome) {
	t.Helper()
	f := newFleet(t, named("a")...)
	f.run(t, t.Context()).counts(t, 1, 0, 0, 0)
	for i, text := range texts {
		path := filepath.Join(f.workspace, "db", "migrations", fmt.Sprintf("202503%02d000000_more.sql", i+1))
		if err := os.WriteFile(path, []byte("-- migrate:up"+text+"\n-- migrate:down\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return f, f.loses(t, commits)
}

// loses runs run 7 with undo points on the fleet's first tenant, one of whose files waits for the lock, and cuts the
// connection then. The server goes on with the files if commits is true, and ends its session otherwise.
func (f *organisation) loses(t *testing.T, commits bool, inputs ...string) outcome {
	t.Helper()
	p := f.projects[0]
	api, proxy := f.throughBreakable(t, p)
	holder, err := pgx.Connect(t.Context(), p.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = holder.Close(context.Background()) }()
	if _, err := holder.Exec(t.Context(), lock); err != nil {
		t.Fatal(err)
	}
	done := make(chan outcome, 1)
	go func() { done <- f.run(t, t.Context(), withPoints(append(inputs, api)...)...) }()
	servertest.WaitFor(t, func() bool { return len(done) > 0 || query(t, p, "select count(*)"+waiting) == "1" })
	proxy.Stop()
	o := <-done
	if !commits {
		query(t, p, "select pg_terminate_backend(pid)"+waiting)
	}
	_ = holder.Close(t.Context())
	servertest.WaitFor(t, func() bool {
		return query(t, p, "select count(*) from pg_stat_activity where datname = current_database() and pid <> "+
			"pg_backend_pid() and backend_type = 'client backend'") == "0"
	})
	o.counts(t, 0, 0, 1, 0)
	o.says(t, "the connection was lost while it ran")
	f.keep(t, "7", o)
	return o
}

const (
	makeLate = "\ncreate table late (i int);"
	waitLast = "\n" + lock + "; create table last ();"
)

// A migration whose connection broke at its commit was applied or not. An undo finds out which, and takes the tenant
// back in both cases.
func TestAMigrationInDoubtIsUndone(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		commits   bool
		texts     []string
		unchanged int
	}{
		"the only one, applied":     {true, []string{waitLast}, 0},
		"the only one, rolled back": {false, []string{waitLast}, 1},
		"a later one, applied":      {true, []string{makeLate, waitLast}, 0},
		"a later one, rolled back":  {false, []string{makeLate, waitLast}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, migrated := newLost(t, c.commits, c.texts...)
			p := f.projects[0]
			if got := query(t, p, "select to_regclass('last') is not null"); (got == "t") != c.commits {
				t.Fatalf("the last migration was applied: %s", got)
			}
			version := fmt.Sprintf("202503%02d000000", len(c.texts))
			doubt := detail[migrate.Detail](t, migrated, "a").UndoPoint.InDoubt
			if doubt == nil || !slices.Equal(doubt.Versions, []string{version}) || doubt.OutsideTransaction {
				t.Errorf("in doubt: %+v", doubt)
			}
			f.run(t, t.Context(), undo()...).counts(t, 1-c.unchanged, c.unchanged, 0, 0)
			if got := query(t, p, "select (to_regclass('late') is null) || ' ' || (to_regclass('last') is null) || ' ' || "+
				"max(version) from schema_migrations"); got != "true true 20250101090200" {
				t.Errorf("undone to %s", got)
			}
			f.run(t, t.Context(), undo()...).counts(t, 0, 1, 0, 0)
		})
	}
}

// Outside a transaction, a migration can have been applied without being recorded: nobody but its author can tell.
func TestAMigrationInDoubtOutsideATransaction(t *testing.T) {
	t.Parallel()
	f, migrated := newLost(t, true, " transaction:false"+waitLast)
	p := f.projects[0]
	if query(t, p, "select to_regclass('last') is not null") != "t" || query(t, p, highest) != "20250101090200" {
		t.Fatal("it was not applied, or it was recorded")
	}
	o := f.run(t, t.Context(), undo()...)
	o.counts(t, 0, 0, 1, 0)
	point := detail[migrate.Detail](t, migrated, "a").UndoPoint
	o.says(t, "20250301000000 failed or was cut off, and may have been applied", "restore-to-time: "+
		point.CreatedAt.UTC().Format(time.RFC3339Nano), "or reset its branch to undo/7")
}

// A migration that failed after it had committed something, or that left an invalid index, is not passed over.
func TestAMigrationThatFailedInPart(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"committed in part": "begin; create table half (); commit; select 1 / 0;",
		"an invalid index":  "create unique index concurrently twice_idx on twice (i);",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFleet(t, named("a")...)
			f.run(t, t.Context()).counts(t, 1, 0, 0, 0)
			query(t, f.projects[0], "create table twice as select 1 as i from generate_series(1, 2)")
			path := filepath.Join(f.workspace, "db", "migrations", "20250301000000_more.sql")
			file := "-- migrate:up transaction:false\n" + text + "\n-- migrate:down\n"
			if err := os.WriteFile(path, []byte(file), 0o600); err != nil {
				t.Fatal(err)
			}
			o := f.run(t, t.Context(), withPoints()...)
			o.counts(t, 0, 0, 1, 0)
			f.keep(t, "7", o)
			o = f.run(t, t.Context(), undo()...)
			o.counts(t, 0, 0, 1, 0)
			o.says(t, "20250301000000 failed or was cut off, and may have been applied")
		})
	}
}

// What another run migrated since is not taken back, and the error says what is not known.
func TestATenantInDoubtThatWasMigratedSince(t *testing.T) {
	t.Parallel()
	f, _ := newLost(t, true, waitLast)
	f.write(t, "20250401000000_since.sql", "create table since ();")
	f.run(t, t.Context()).counts(t, 1, 0, 0, 0)
	o := f.run(t, t.Context(), undo()...)
	o.counts(t, 0, 0, 1, 0)
	o.says(t, "not undone: it was migrated again since", "the run failed or was cut off while it applied 20250301000000")
}

// Of a tenant whose job was abandoned or panicked the report tells nothing. If the run had made its undo point, it may
// have changed it.
func TestATenantOfWhichTheReportTellsNothing(t *testing.T) {
	t.Parallel()
	f := newChanged(t, "a", "b", "c")
	path := filepath.Join(f.workspace, "reports", "7.json")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var file map[string]any
	if err := json.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	for _, e := range file["tenants"].([]any) {
		if e := e.(map[string]any); e["name"] != "c" {
			delete(e, "detail")
			e["state"], e["error"] = "failed", map[string]any{"message": "its job was abandoned"}
		}
	}
	totals := file["totals"].(map[string]any)
	totals["succeeded"], totals["failed"] = 1, 2
	if err := os.WriteFile(path, mustJSON(t, file), 0o600); err != nil {
		t.Fatal(err)
	}
	p, client := f.projects[1], neon.New(neon.Options{BaseURL: f.URL(), Key: neontest.OrgKey})
	for _, b := range f.branches(t, p, "undo/7") {
		if err := client.DeleteBranch(t.Context(), p.ID, b.ID); err != nil {
			t.Fatal(err)
		}
	}
	o := f.run(t, t.Context(), undo()...)
	o.counts(t, 1, 1, 1, 0)
	o.says(t, "not undone: the run made its undo point undo/7, and does not know what it did to it then",
		"or reset its branch to undo/7", "b  the run failed, and there is no undo point of it")
	if query(t, f.projects[0], hasLate) != "t" || query(t, f.projects[2], hasLate) != "f" {
		t.Error("the wrong one was undone")
	}
}

// What Neon accepted and could not complete is no undo, although the branch that was to keep the old state is there.
func TestAnUndoThatNeonFailed(t *testing.T) {
	t.Parallel()
	f := newChanged(t, "a")
	p := f.projects[0]
	f.FailRestore(p.ID)
	o := f.run(t, t.Context(), undo()...)
	o.counts(t, 0, 0, 1, 0)
	o.says(t, "take it back to undo/7", "ended as failed")
	kept := f.branches(t, p, "undone/")
	if len(kept) != 1 || query(t, p, hasLate) != "t" {
		t.Fatalf("kept %+v", kept)
	}
	for _, dry := range []string{"dry-run=true", "dry-run=false"} {
		o = f.run(t, t.Context(), undo(dry)...)
		o.counts(t, 0, 0, 1, 0)
		o.says(t, "not undone: a restore was begun on ", "and Neon does not say that it succeeded",
			"if not, rename the branch undone/7 ("+kept[0].ID+")")
	}
	if !f.RenameBranch(p.ID, kept[0].ID, "kept") {
		t.Fatal("it has no such branch")
	}
	f.run(t, t.Context(), undo()...).counts(t, 1, 0, 0, 0)
	f.run(t, t.Context(), undo()...).counts(t, 0, 1, 0, 0)
	if query(t, p, hasLate) != "f" {
		t.Error("it was not undone")
	}
}
