package action

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/org/neon-tenants-action/internal/neon/neontest"
	"github.com/org/neon-tenants-action/internal/postgres/pgtest"
	"github.com/org/neon-tenants-action/internal/report"
)

func TestMain(m *testing.M) { pgtest.Main(m, vaults.Stop) }

// organisation is one of its own with projects of the given specs, and a workspace with the example's migrations.
type organisation struct {
	*neontest.Server
	projects  []neontest.Project
	workspace string
	watch     io.Writer // gets each run's log, too; nil: nobody
}

func newFleet(t *testing.T, specs ...neontest.Spec) *organisation {
	t.Helper()
	return newFleetWith(t, neontest.Options{WakeTime: 300 * time.Millisecond}, specs...)
}

func newFleetWith(t *testing.T, options neontest.Options, specs ...neontest.Spec) *organisation {
	t.Helper()
	server, err := neontest.New(pgtest.Shared(t), options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	projects, err := server.AddProjects(t.Context(), specs...)
	if err != nil {
		t.Fatal(err)
	}
	f := &organisation{Server: server, projects: projects, workspace: t.TempDir()}
	if err := os.CopyFS(filepath.Join(f.workspace, "db", "migrations"), os.DirFS("../../migrations/example")); err != nil {
		t.Fatal(err)
	}
	return f
}

func named(names ...string) []neontest.Spec {
	specs := make([]neontest.Spec, len(names))
	for i, n := range names {
		specs[i].Name = n
	}
	return specs
}

// outcome is everything a run gives back.
type outcome struct {
	err          error
	log, summary string
	outputs      map[string]string
	report       report.File
	reportText   string
}

// run does one run as the runner would start it. Inputs are NAME=VALUE, other variables $NAME=VALUE.
func (f *organisation) run(t *testing.T, ctx context.Context, inputs ...string) outcome {
	t.Helper()
	dir := t.TempDir()
	vars := map[string]string{
		"GITHUB_WORKSPACE": f.workspace, "GITHUB_OUTPUT": filepath.Join(dir, "output"),
		"GITHUB_STEP_SUMMARY": filepath.Join(dir, "summary"),
		"INPUT_MODE":          "migrate", "INPUT_NEON-API-URL": f.URL(), "INPUT_NEON-API-KEY": neontest.OrgKey,
		"INPUT_REPORT-FILE": filepath.Join(dir, "report.json"),
	}
	for _, i := range inputs {
		name, value, _ := strings.Cut(i, "=")
		if variable, ok := strings.CutPrefix(name, "$"); ok {
			vars[variable] = value
			continue
		}
		vars["INPUT_"+strings.ToUpper(name)] = value
	}
	definition, err := os.ReadFile("../../action.yml")
	if err != nil {
		t.Fatal(err)
	}
	var log lockedBuffer
	stdout := io.Writer(&log)
	if f.watch != nil {
		stdout = io.MultiWriter(stdout, f.watch)
	}
	o := outcome{outputs: map[string]string{}}
	lookUp := func(name string) (string, bool) {
		v, ok := vars[name]
		return v, ok
	}
	o.err = Run(ctx, Env{Definition: definition, Stdout: stdout, LookupEnv: lookUp})
	o.log = log.String()
	summary, _ := os.ReadFile(filepath.Join(dir, "summary"))
	o.summary = string(summary)
	outputs, _ := os.ReadFile(filepath.Join(dir, "output"))
	lines := strings.Split(string(outputs), "\n")
	for i := 0; i+1 < len(lines); i++ {
		if name, _, ok := strings.Cut(lines[i], "<<"); ok {
			o.outputs[name] = lines[i+1]
		}
	}
	if text, err := os.ReadFile(filepath.Join(dir, "report.json")); err == nil {
		o.reportText = string(text)
		if o.report, err = report.Decode(text); err != nil {
			t.Error(err)
		}
	}
	return o
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}
func (l *lockedBuffer) String() string { l.mu.Lock(); defer l.mu.Unlock(); return l.b.String() }

// counts checks succeeded, unchanged, failed and skipped, in the outputs and in the report.
func (o outcome) counts(t *testing.T, succeeded, unchanged, failed, skipped int) {
	t.Helper()
	want := report.Totals{Total: succeeded + unchanged + failed + skipped, Succeeded: succeeded, Unchanged: unchanged,
		Failed: failed, Skipped: skipped}
	if diff := cmp.Diff(want, o.report.Totals); diff != "" {
		t.Errorf("totals (-want +got):\n%s\n%s", diff, o.log)
	}
	for name, n := range map[string]int{"total": want.Total, "succeeded": succeeded, "unchanged": unchanged,
		"failed": failed, "skipped": skipped} {
		if o.outputs[name] != fmt.Sprint(n) {
			t.Errorf("output %s is %q, want %d", name, o.outputs[name], n)
		}
	}
	if (o.err != nil) != (failed > 0) && o.report.Error == nil {
		t.Errorf("the run ended with %v", o.err)
	}
}

// says checks that every text stands in the log and in the summary.
func (o outcome) says(t *testing.T, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if !strings.Contains(o.log, text) {
			t.Errorf("the log does not say %q:\n%s", text, o.log)
		}
	}
}

// keeps checks that no password stands anywhere but in a mask.
func (o outcome) keeps(t *testing.T, projects []neontest.Project) {
	t.Helper()
	var shown strings.Builder
	for line := range strings.Lines(o.log) {
		if !strings.HasPrefix(line, "::add-mask::") {
			shown.WriteString(line)
		}
	}
	for _, p := range projects {
		cfg, err := pgx.ParseConfig(p.URL)
		if err != nil {
			t.Fatal(err)
		}
		for place, text := range map[string]string{"log": shown.String(), "summary": o.summary, "report": o.reportText,
			"outputs": fmt.Sprint(o.outputs)} {
			if strings.Contains(text, cfg.Password) || strings.Contains(text, p.URL) || strings.Contains(text, neontest.OrgKey) {
				t.Errorf("the %s shows a secret of %s", place, p.Name)
			}
		}
		if !strings.Contains(o.log, "::add-mask::"+strings.ReplaceAll(cfg.Password, "%", "%25")) {
			t.Errorf("the password of %s is not masked", p.Name)
		}
	}
}

// query returns the first value of what the last statement returned, "" where that is nothing.
func query(t *testing.T, p neontest.Project, sql string) string {
	t.Helper()
	if all := column(t, p.URL, sql); len(all) > 0 {
		return all[0]
	}
	return ""
}

// column runs SQL and returns the last statement's first column.
func column(t *testing.T, url, sql string) []string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	results, err := conn.PgConn().Exec(t.Context(), sql).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	all := []string{}
	for _, row := range results[len(results)-1].Rows {
		all = append(all, string(row[0]))
	}
	return all
}

func (f *organisation) write(t *testing.T, file, upSQL string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(f.workspace, "db", "migrations", file),
		[]byte("-- migrate:up\n"+upSQL+"\n-- migrate:down\n"), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestAFleetIsMigratedAndThenUnchanged(t *testing.T) {
	specs := named("ACME Corp", "Payroll Inc", "Finance Co")
	specs[2].Suspended = true
	f := newFleet(t, specs...)
	o := f.run(t, t.Context())
	o.counts(t, 3, 0, 0, 0)
	o.says(t, "found 3 tenants", "[3/3] ", "ACME Corp  3 applied")
	o.keeps(t, f.projects)
	if !strings.Contains(o.summary, "migrate") || !strings.Contains(o.summary, "ACME Corp") {
		t.Errorf("summary:\n%s", o.summary)
	}
	for _, p := range f.projects {
		if n := f.Calls().ByProject[p.ID]; n["GET /projects/{project_id}/connection_uri"] > 1 {
			t.Errorf("%s: %v", p.Name, n)
		}
	}
	var detail struct {
		Before  string `json:"version_before"`
		After   string `json:"version_after"`
		Applied []struct{ File string }
	}
	if err := json.Unmarshal(o.report.Tenants[0].Detail, &detail); err != nil || detail.After != "20250101090200" ||
		len(detail.Applied) != 3 {
		t.Errorf("detail: %s, %v", o.report.Tenants[0].Detail, err)
	}
	f.run(t, t.Context()).counts(t, 0, 3, 0, 0)
}

func TestEveryMistakeAtOnceAndNoCall(t *testing.T) {
	f := newFleet(t, named("ACME Corp")...)
	f.write(t, "20250101090200_same.sql", "select 1")
	f.ResetCalls()
	o := f.run(t, t.Context(), "mode=migrate", "neon-api-key=", "concurrency=0", "shard=3/2", "tenant-timeout=soon",
		"max-failures=-1%", "dry-run=perhaps",
		"tenant-source=oracle", "tenants=", "tenant-key=email", "migrations-table=a.b.c", "strict-order=on", "rehearse=some")
	for _, name := range []string{"concurrency: ", "shard: ", "tenant-timeout: ", "max-failures: ", "dry-run: ",
		"tenant-source: ", "tenants: ", "tenant-key: ", "migrations-table: ", "strict-order: ", "rehearse: ",
		"migrations-path: "} {
		if strings.Count(o.log, "- "+name) != 1 {
			t.Errorf("%s is not named once:\n%s", name, o.log)
		}
	}
	if o.err == nil || f.Calls().Total != 0 {
		t.Errorf("ended with %v after %d calls", o.err, f.Calls().Total)
	}
	if o := f.run(t, t.Context(), "mode=migrat"); !strings.Contains(o.log,
		`"migrat" is not a mode; the modes are `+strings.Join(modeNames(), ", ")) {
		t.Errorf("unknown mode:\n%s", o.log)
	}
}

func TestOneBadTenantHidesNoOther(t *testing.T) {
	hostile := "::error::x\n<b>|`é`|</b>"
	f := newFleet(t, named("a", "b", hostile, "d")...)
	query(t, f.projects[2], "create table users (by_hand text)")
	o := f.run(t, t.Context())
	o.counts(t, 3, 0, 1, 0)
	if want := string(mustJSON(t, []string{hostile})); o.outputs["failed-tenants"] != want {
		t.Errorf("failed-tenants is %s", o.outputs["failed-tenants"])
	}
	o.says(t, "db/migrations/20250101090000_create_users.sql:6:1: relation \"users\" already exists (SQLSTATE 42P07)",
		"::error file=db/migrations/20250101090000_create_users.sql,line=6::")
	if strings.Contains(o.log, "\n::error::x") || strings.Contains(o.summary, "<b>") {
		t.Errorf("a tenant's name acts:\n%s\n%s", o.log, o.summary)
	}
}

func mustJSON(t *testing.T, v any) []byte {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestTenantsThatCannotBeReachedSayWhy(t *testing.T) {
	f := newFleet(t,
		neontest.Spec{Name: "disabled", Disabled: true}, neontest.Spec{Name: "quota", QuotaExceeded: true},
		neontest.Spec{Name: "allow list", AllowedIPs: []string{"203.0.113.7"}},
		neontest.Spec{Name: "blocked", BlockPublic: true},
		neontest.Spec{Name: "no password", NoStorePasswords: true}, neontest.Spec{Name: "other database", Database: "main"},
		neontest.Spec{Name: "asleep", Suspended: true}, neontest.Spec{Name: "archived", Archived: true})
	o := f.run(t, t.Context())
	o.counts(t, 2, 0, 6, 0)
	for _, e := range o.report.Tenants {
		if e.State == "failed" && e.Error.Remedy == "" {
			t.Errorf("%s: %s has no remedy", e.Name, e.Error.Message)
		}
		if e.State == "failed" {
			t.Logf("%s: %s\n   → %s", e.Name, e.Error.Message, e.Error.Remedy)
		}
	}
}

func TestCanaryMaxFailuresAndShards(t *testing.T) {
	f := newFleet(t, named("t01", "t02", "t03", "t04", "t05", "t06", "t07", "t08")...)
	for _, i := range []int{3, 4} {
		query(t, f.projects[i], "create table users (by_hand text)")
	}
	o := f.run(t, t.Context(), "canary=t04,t06")
	o.counts(t, 1, 0, 1, 6)
	o.says(t, "wave 1 of 2, the canaries, ended, and no other is started (1 succeeded, 1 failed in ",
		"6 tenants skipped: not started: wave 2 of 2 waits for wave 1, where the canary t04 did not succeed")

	o = f.run(t, t.Context(), "concurrency=1", "max-failures=0")
	o.counts(t, 3, 0, 1, 4)
	o.says(t, "more than max-failures (0) allows")

	query(t, f.projects[3], "drop table users")
	query(t, f.projects[4], "drop table users")
	seen := map[string]int{}
	for shard := 1; shard <= 3; shard++ {
		o := f.run(t, t.Context(), fmt.Sprintf("shard=%d/3", shard), "allow-empty=true")
		for _, e := range o.report.Tenants {
			seen[e.Name]++
		}
	}
	if len(seen) != 8 || slices.Max(slices.Collect(maps.Values(seen))) != 1 {
		t.Errorf("shards covered %v", seen)
	}
}

func TestSelectionAndIdentity(t *testing.T) {
	f := newFleet(t, named("Acme", "acme!", "Test 1", "東京", "Globex")...)
	for _, c := range []struct {
		inputs []string
		want   string
	}{
		{nil, "tenant-key: id"},
		{[]string{"tenants=Globex,Glob*,nobody"}, `the pattern "nobody" matches none of the 5 tenants found`},
		{[]string{"tenants=Globex,Acme"}, `"Acme" (`},
		{[]string{"tenants=nobody"}, `tenants: "nobody" selects none of the 5 tenants found`},
		{[]string{"tenants=東京", "mode=list-tenants"}, "key dong-jing"},
		{[]string{"min-tenants=6"}, "found 5 tenants, fewer than min-tenants: 6"},
		{[]string{"tenants=Globex", "canary=Acme"}, `canary: "Acme" is none of the 1 selected tenants`},
		{[]string{"tenants=Globex", "neon-branch=nowhere"}, "nowhere"},
		{[]string{"tenants=Globex", "schema-tracker=x.y"}, "input schema-tracker has no effect"},
	} {
		o := f.run(t, t.Context(), append(c.inputs, "dry-run=true")...)
		if o.says(t, c.want); strings.Count(o.log, `"nobody"`) > 1 {
			t.Errorf("%v: said twice:\n%s", c.inputs, o.log)
		}
	}
	f.run(t, t.Context(), "tenants=nobody", "allow-empty=true").counts(t, 0, 0, 0, 0)
	f.run(t, t.Context(), "tenant-key=id", "tenants=*\n!Test*").counts(t, 4, 0, 0, 0)
}

func TestDryRunChangesNothing(t *testing.T) {
	f := newFleet(t, named("a", "b")...)
	o := f.run(t, t.Context(), "dry-run=true")
	o.counts(t, 2, 0, 0, 0)
	o.says(t, "a  3 pending", "dry run")
	for _, p := range f.projects {
		if n := query(t, p, "select count(*) from pg_class where relnamespace = 'public'::regnamespace"); n != "0" {
			t.Errorf("%s has %s relations", p.Name, n)
		}
	}
}

func TestIncompleteDiscoveryFailsAtTheEnd(t *testing.T) {
	f := newFleet(t, named("a", "b", "c")...)
	f.Unavailable([]string{f.projects[1].ID}, 0)
	f.Fail(neontest.Fault{Route: "GET /projects/{project_id}", Project: f.projects[1].ID, Status: 403})
	o := f.run(t, t.Context())
	o.counts(t, 2, 0, 0, 0)
	if o.err == nil || o.report.Error == nil || !strings.Contains(o.report.Error.Message, f.projects[1].ID) {
		t.Errorf("got %v, %+v", o.err, o.report.Error)
	}
}

// sleeping says whether a session of the tenant's database is in pg_sleep.
func sleeping(p neontest.Project) bool {
	conn, err := pgx.Connect(context.Background(), p.URL)
	if err != nil {
		return false // its compute is starting
	}
	defer func() { _ = conn.Close(context.Background()) }()
	var n int
	err = conn.QueryRow(context.Background(),
		"select count(*) from pg_stat_activity where datname = current_database() and wait_event = 'PgSleep'").Scan(&n)
	return err == nil && n == 1
}

func TestCancelWhileAMigrationHangs(t *testing.T) {
	f := newFleet(t, named("a", "b", "c")...)
	f.write(t, "20250301000000_hang.sql", "create table half (i int);\nselect pg_sleep(60);")
	ctx, cancel := context.WithCancelCause(t.Context())
	var cancelled time.Time
	hang := make(chan bool)
	go func() {
		defer close(hang)
		defer func() { cancelled = time.Now(); cancel(errors.New("cancelled by interrupt")) }()
		for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
			if sleeping(f.projects[0]) && sleeping(f.projects[1]) {
				return
			}
		}
		t.Error("the migrations did not come to hang")
	}()
	o := f.run(t, ctx, "concurrency=2")
	<-hang
	if took := time.Since(cancelled); took > 7*time.Second {
		t.Errorf("ended %s after the cancel", took)
	}
	o.counts(t, 0, 0, 2, 1)
	o.says(t, "cancelled by interrupt")
	for _, p := range f.projects[:2] {
		if got := query(t, p,
			"select max(version) || ' ' || (to_regclass('half') is null) from schema_migrations"); got != "20250101090200 true" {
			t.Errorf("%s: %s", p.Name, got)
		}
	}
	if got := query(t, f.projects[2], "select to_regclass('users') is null"); got != "t" {
		t.Errorf("c was started: %s", got)
	}
}

func TestTenantTimeout(t *testing.T) {
	f := newFleet(t, named("a")...)
	f.write(t, "20250301000000_hang.sql", "select pg_sleep(60);")
	o := f.run(t, t.Context(), "tenant-timeout=1s")
	o.counts(t, 0, 0, 1, 0)
	o.says(t, "stopped after the tenant-timeout of 1s")
}

func TestFaultsOfTheAPI(t *testing.T) {
	f := newFleet(t, named("a", "b", "c", "d")...)
	f.Fail(neontest.Fault{Route: "GET /projects/{project_id}/connection_uri", Status: 524, Times: 2})
	f.Fail(neontest.Fault{Route: "GET /projects", Status: 503, Times: 1})
	f.Fail(neontest.Fault{Route: "GET /projects/{project_id}/connection_uri", Status: 429, RetryAfter: "1", Times: 2})
	f.run(t, t.Context()).counts(t, 4, 0, 0, 0)

	o := f.run(t, t.Context(), "neon-api-key=napi_wrong")
	o.says(t, "neon-api-key is wrong or was revoked")
	o = f.run(t, t.Context(), "neon-api-key="+neontest.PersonalKey)
	o.counts(t, 0, 4, 0, 0)
}

func TestFromAShell(t *testing.T) {
	f := newFleet(t, named("a")...)
	definition, _ := os.ReadFile("../../action.yml")
	var out bytes.Buffer
	env := Env{Definition: definition, Stdout: &out, LookupEnv: func(string) (string, bool) { return "", false },
		Args: []string{"--mode", "migrate", "--neon-api-url", f.URL(), "--neon-api-key=" + neontest.OrgKey,
			"--migrations-path", "../../migrations/example", "--report-file=", "--dry-run"}}
	if err := Run(t.Context(), env); err != nil || strings.Contains(out.String(), "::") ||
		!strings.Contains(out.String(), "a  3 pending") {
		t.Errorf("%v\n%s", err, out.String())
	}
	out.Reset()
	env.Args = []string{"--help"}
	if err := Run(t.Context(), env); err != nil ||
		!strings.Contains(out.String(), "Modes: "+strings.Join(modeNames(), ", ")) ||
		!strings.Contains(out.String(), "--strict-order") {
		t.Errorf("%v\n%s", err, out.String())
	}
}
