package action

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/org/neon-tenants-action/internal/bucket/buckettest"
	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/neon/neontest"
	"github.com/org/neon-tenants-action/internal/postgres/pgtest"
	"github.com/org/neon-tenants-action/internal/servertest"
)

// names are those of the tenants in the report.
func (o outcome) names() []string {
	var names []string
	for _, t := range o.report.Tenants {
		names = append(names, t.Name)
	}
	slices.Sort(names)
	return names
}

// list runs mode list-tenants, which touches nothing.
func (f *organisation) list(t *testing.T, inputs ...string) outcome {
	t.Helper()
	return f.run(t, t.Context(), append([]string{"mode=list-tenants", "tenant-key=id"}, inputs...)...)
}

func TestAnEntryThatIsANameMeansThatTenant(t *testing.T) {
	names := []string{"Acme", "Acme, Inc.", "bang", "!bang", "Foo [EU]", "Foo E", `C:\data`, "#1 Pizza", "*", "3",
		`say "hi"`, "Globex"}
	f := newFleet(t, named(names...)...)
	slices.Sort(names)
	but := func(left string) []string {
		return slices.DeleteFunc(slices.Clone(names), func(n string) bool { return n == left })
	}
	for _, c := range []struct {
		tenants string
		want    []string
		says    string // a warning
	}{
		{"*", names, ""},
		{"Acme, Inc.", []string{"Acme, Inc."}, ""},
		{"!Acme, Inc.", but("Acme, Inc."), ""},
		{"!bang", []string{"!bang"},
			`tenants: "!bang" is the name of a tenant, and so selects that one; to exclude the 1 tenant`},
		{`!\bang`, but("bang"), ""},
		{"Foo [EU]", []string{"Foo [EU]"},
			`tenants: "Foo [EU]" is the name of a tenant, and so selects that one alone`},
		{`C:\data`, []string{`C:\data`}, ""},
		{`say "hi"`, []string{`say "hi"`}, ""},
		{"#1 Pizza", []string{"#1 Pizza"}, ""},
		{"Acme, bang\n3\n", []string{"3", "Acme", "bang"}, ""},
		{"*\n!Globx", names, `the pattern "!Globx" matches none of the 12 tenants found; did you mean "Globex"?`},
		{string(mustJSON(t, names)), names, ""},
		{string(mustJSON(t, []string{"*", "!bang", "Acme, Inc."})), []string{"!bang", "*", "Acme, Inc."}, ""},
		{"!bang\n#1 Pizza\r\nAcme, Inc.\n", []string{"!bang", "#1 Pizza", "Acme, Inc."}, `"!bang" is the name`},
	} {
		o := f.list(t, "tenants="+c.tenants)
		_, after, _ := strings.Cut(o.log, " at once\n")
		next, _, _ := strings.Cut(after, "\n")
		if !strings.Contains(next, c.says) || c.says != "" && strings.Count(o.log, c.says) > 1 {
			t.Errorf("%q: the warning is not what comes next, once:\n%s", c.tenants, o.log)
		}
		if got := o.names(); o.err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%q selects %q, want %q\n%s", c.tenants, got, c.want, o.log)
		}
		if o.says(t, c.says); c.says == "" && len(o.report.Warnings) > 0 {
			t.Errorf("%q: warnings %q", c.tenants, o.report.Warnings)
		}
	}
	f.list(t, "tenants=[a", "canary=[b").says(t, "2 mistakes in the inputs:",
		`- tenants: the pattern "[a"`, `- canary: the pattern "[b"`)
	f.list(t, "tenants=[]", "allow-empty=true").counts(t, 0, 0, 0, 0)
	for tenants, want := range map[string]string{
		"Globex, Acme, Inc.": `holds the name of the tenant "Acme, Inc."; write one entry a line`,
		"[a":                 `tenants: the pattern "[a" has a [ without a ]`,
		"# nobody":           "tenants: names no tenant",
		"[]":                 `tenants: "[]" selects none of the 12 tenants found`,
	} {
		f.ResetCalls()
		o := f.run(t, t.Context(), "tenants="+tenants, "tenant-key=id")
		if o.says(t, want); o.err == nil || len(o.report.Tenants) > 0 || len(f.Calls().ByProject) > 0 {
			t.Errorf("%q: %v, %v", tenants, o.names(), f.Calls().ByProject)
		}
	}
}

// The failed tenants of one run are exactly those of the next, whatever they are called.
func TestTheFailedTenantsAreTheNextRunsTenants(t *testing.T) {
	names := []string{"Acme", "Acme, Inc.", "!bang", "bang", "two\nlines", "*"}
	f := newFleet(t, named(names...)...)
	broken := []string{"!bang", "*", "Acme, Inc.", "two\nlines"}
	for i, name := range names {
		if slices.Contains(broken, name) {
			query(t, f.projects[i], "create table users (by_hand text)")
		}
	}
	o := f.run(t, t.Context(), "tenant-key=id")
	o.counts(t, 2, 0, 4, 0)
	again := f.run(t, t.Context(), "tenant-key=id", "tenants="+o.outputs["failed-tenants"])
	again.counts(t, 0, 0, 4, 0)
	if got := again.names(); !slices.Equal(got, broken) {
		t.Errorf("%s selects %q", o.outputs["failed-tenants"], got)
	}
	lines := f.list(t, "tenants=!bang\nAcme, Inc.\n").names()
	if !slices.Equal(lines, []string{"!bang", "Acme, Inc."}) {
		t.Errorf("selects %q", lines)
	}
}

func TestRestoreTakesTheVeryTenant(t *testing.T) {
	servertest.Long(t)
	f, v := newFleet(t, named("Acme", "Acme, Inc.", "bang")...), newVault(t)
	f.run(t, t.Context()).counts(t, 3, 0, 0, 0)
	for i, rows := range []int{1, 2, 3} {
		query(t, f.projects[i], fmt.Sprintf(
			"insert into users (email, name) select i || '@x', 'n' from generate_series(1, %d) i", rows))
	}
	f.run(t, t.Context(), v.inputs("mode=backup")...).counts(t, 3, 0, 0, 0)
	restore := func(tenants string) outcome {
		return f.run(t, t.Context(), v.inputs("mode=restore", "tenants="+tenants, "restore-url="+pgtest.Database(t))...)
	}
	o := restore("Acme, Inc.")
	o.counts(t, 1, 0, 0, 0)
	if key := o.outputs["backup-key"]; !strings.Contains(key, "/acme-inc/") {
		t.Errorf("restored from %s", key)
	}
	const missed = " matches none of the 3 tenants found, and restore works on exactly one tenant"
	for tenants, want := range map[string]string{
		"Acme, Inc":   `tenants: the pattern "Inc"` + missed,
		"Acme,":       "",
		"!bang":       "tenants selects 2 tenants, and restore works on exactly one",
		"Acme\n!bank": `tenants: the pattern "!bank"` + missed,
		"acme":        `tenants: the pattern "acme"` + missed,
		" ":           "input tenants: is given and is empty",
		"[]":          `tenants: "[]" selects none of the 3 tenants found`,
	} {
		if o := restore(tenants); want == "" {
			o.counts(t, 1, 0, 0, 0)
		} else if o.says(t, want); o.err == nil || o.outputs["backup-key"] != "" {
			t.Errorf("%q: %v, %v", tenants, o.err, o.outputs)
		}
	}
}

// Inputs on which it depends whom a run works on, whether for real, and what it deletes, never mean their default if
// they are given and empty.
func TestAGuardThatIsGivenAndEmptyIsAMistake(t *testing.T) {
	f := newFleet(t, named("Acme")...)
	v := []string{"s3-bucket=b", "aws-region=eu-central-1"}
	for _, c := range []struct {
		empty []string // inputs
		with  []string
	}{
		{[]string{"tenants", "dry-run", "shard", "min-tenants"}, nil},
		{[]string{"tenants"}, append([]string{"mode=restore", "restore-url=postgresql://app:x@127.0.0.1:1/app"}, v...)},
		{[]string{"tenants", "dry-run"},
			[]string{"mode=drop-tenant", "tenant-name=Acme", "confirm=Acme", "without-backup=true"}},
		{[]string{"dry-run"}, []string{"mode=create-tenant", "tenant-name=Globex"}},
		{[]string{"tenants", "dry-run", "shard", "max-prune"},
			[]string{"mode=sync-secrets", "github-token=t", "repository=acme/app", "prune-secrets=true"}},
		{[]string{"dry-run", "retention-days", "keep-last", "keep-daily", "keep-weekly", "keep-monthly"},
			append([]string{"mode=backup"}, v...)},
		// what is required or has to be confirmed
		{[]string{"tenant-name"}, []string{"mode=create-tenant"}},
		{[]string{"tenant-name"}, []string{"mode=drop-tenant", "confirm=Acme", "without-backup=true"}},
		{[]string{"confirm"}, []string{"mode=drop-tenant", "tenant-name=Acme", "without-backup=true"}},
		{[]string{"mode"}, nil},
	} {
		for _, blank := range []string{"", " ", "\n"} {
			inputs := slices.Clone(c.with)
			for _, name := range c.empty {
				inputs = append(inputs, name+"="+blank)
			}
			f.ResetCalls()
			o := f.run(t, t.Context(), inputs...)
			for _, name := range c.empty {
				if !strings.Contains(o.log, "input "+name+": ") && !strings.Contains(o.log, "- "+name+": ") {
					t.Errorf("%v, %q: %s is taken:\n%s", c.with, blank, name, o.log)
				}
			}
			if o.err == nil || f.Calls().Total != 0 {
				t.Errorf("%v: ended with %v after %d calls", c.with, o.err, f.Calls().Total)
			}
		}
	}
	query(t, f.projects[0], "create table mine (i int)")
	o := f.run(t, t.Context(), "mode=drop-tenant", "tenant-name=Acme", "confirm=Acme", "without-backup= ")
	if o.says(t, "input s3-bucket: "); o.err == nil { // an empty switch is the careful one
		t.Error("dropped without a backup")
	}
	f.run(t, t.Context(), "tenants=Globex", "allow-empty=").says(t, "selects none of the 1 tenants found")
	f.run(t, t.Context(), "dry-run=true", "canary=", "max-failures=").counts(t, 1, 0, 0, 0) // empty by default
}

// As GitHub's runner passes what a workflow leaves out: the default of action.yml.
func TestWhatAWorkflowLeavesOutKeepsItsDefault(t *testing.T) {
	f := newFleet(t, named("Acme", "Globex")...)
	o := f.run(t, t.Context(), "tenants=*", "dry-run=false", "shard=1/1", "min-tenants=1")
	o.counts(t, 2, 0, 0, 0)
	if o.report.Shard != "" || o.report.DryRun {
		t.Errorf("%+v", o.report)
	}
	f.list(t, "shard=1/1").counts(t, 0, 2, 0, 0)
}

func TestAnEmptyFlagIsGiven(t *testing.T) {
	f := newFleet(t, named("Acme")...)
	definition, err := os.ReadFile("../../action.yml")
	if err != nil {
		t.Fatal(err)
	}
	for _, flag := range []string{"--tenants=", "--dry-run=", "--shard= ", "--min-tenants="} {
		f.ResetCalls()
		var out lockedBuffer
		err := Run(t.Context(), Env{
			Definition: definition, Stdout: &out, LookupEnv: func(string) (string, bool) { return "", false },
			Args: []string{"--mode", "migrate", "--neon-api-url", f.URL(), "--neon-api-key=" + neontest.OrgKey,
				"--migrations-path", "../../migrations/example", "--report-file=", flag},
		})
		name, _, _ := strings.Cut(flag[2:], "=")
		said := strings.Contains(out.String(), "input "+name+": is given and is empty")
		if err == nil || !said || f.Calls().Total != 0 {
			t.Errorf("%s: %v after %d calls\n%s", flag, err, f.Calls().Total, out.String())
		}
	}
}

// shardsOf returns two shards' numbers of three: of the first project, and of one that another project is in.
func shardsOf(t *testing.T, f *organisation) (first string, other string) {
	t.Helper()
	for i := 1; i <= 3; i++ {
		s := fleet.Shard{Index: i, Count: 3}
		switch {
		case s.Has(fleet.Tenant{ID: f.projects[0].ID}):
			first = s.String()
		case slices.ContainsFunc(f.projects, func(p neontest.Project) bool { return s.Has(fleet.Tenant{ID: p.ID}) }):
			other = s.String()
		}
	}
	if first == "" || other == "" {
		t.Fatal("all projects are in one shard")
	}
	return first, other
}

func TestNoShardStartsWithoutItsCanary(t *testing.T) {
	f := newFleet(t, named("t01", "t02", "t03", "t04", "t05", "t06", "t07", "t08", "t09", "t10")...)
	first, other := shardsOf(t, f)
	f.run(t, t.Context(), "dry-run=true", "shard="+first, "canary=t01").says(t, "1 of them first as canaries")
	for _, canary := range []string{"t01", "t01,nobody", f.projects[0].ID, `["t01"]`} {
		f.ResetCalls()
		o := f.run(t, t.Context(), "shard="+other, "canary="+canary)
		o.says(t, "tenants of shard "+other+", which would start unguarded", "give a count, such as canary: 1")
		if o.err == nil || len(o.report.Tenants) > 0 || len(f.Calls().ByProject) > 0 {
			t.Errorf("%s: %v, %v", canary, o.names(), f.Calls().ByProject)
		}
	}
	o := f.run(t, t.Context(), "shard="+other, "canary=1", "dry-run=true")
	if o.says(t, "in shard "+other+", 1 of them first as canaries"); o.err != nil {
		t.Error(o.err)
	}
	f.run(t, t.Context(), "dry-run=true", "canary=t01,nobody").says(t,
		`canary: the pattern "nobody" matches none of the 10 selected tenants`)
	f.run(t, t.Context(), "canary=[]").says(t, `canary: "[]" is none of the 10 selected tenants`)
	f.ResetCalls()
	for given, waves := range map[string]string{"10%": "10%", "3.5%": "3.5%", "150%": "10%", "0%": "10%", "100%": "10%"} {
		said := fmt.Sprintf("input canary: %q is a percentage, which waves takes; give waves: %s, 100%%, or a count such as "+
			"canary: 3", given, waves)
		f.run(t, t.Context(), "canary="+given).says(t, strings.ReplaceAll(said, "%", "%25"))
	}
	if n := f.Calls().Total; n > 0 {
		t.Errorf("a percentage of canaries is refused after %d calls", n)
	}
	f.run(t, t.Context(), "canary=0").says(t, `input canary: "0" is not a count of 1 or more`)
}

func TestACanaryThatIsANumberOrHoldsAComma(t *testing.T) {
	f := newFleet(t, named("Acme", "Acme, Inc.", "2")...)
	query(t, f.projects[2], "create table users (by_hand text)")
	o := f.run(t, t.Context(), "canary=2")
	o.counts(t, 0, 0, 1, 2)
	o.says(t, `canary: "2" is the name or the id of a tenant, and so means that one; for a count, write 02`,
		"the canary 2 did not succeed")
	f.run(t, t.Context(), "dry-run=true", "canary=02").says(t, "2 of them first as canaries")
	o = f.run(t, t.Context(), "canary=Acme, Inc.", "concurrency=1")
	o.says(t, "[1/3] Acme, Inc.")
	if !strings.Contains(o.log, "1 of them first as canaries") {
		t.Error(o.log)
	}
}

// unreadable leaves projects out of every listing, as Neon does while their region has trouble.
func (f *organisation) unreadable(projects ...neontest.Project) {
	var ids []string
	for _, p := range projects {
		ids = append(ids, p.ID)
		f.Fail(neontest.Fault{Route: "GET /projects/{project_id}", Project: p.ID, Status: 403})
	}
	f.Unavailable(ids, 0)
}

func TestWhatFollowsFromAnIncompleteDiscovery(t *testing.T) {
	servertest.Long(t)
	t.Parallel()
	f := newFleet(t, named("Acme", "Globex", "Acme")...)
	f.run(t, t.Context(), "tenants=Globex").counts(t, 1, 0, 0, 0)
	o := f.run(t, t.Context(), "tenants="+f.projects[0].ID)
	o.says(t, "have the same key acme", "set tenant-key: id") // the other is not selected
	f.unreadable(f.projects[2])
	const names = "whether one of them has the key of another tenant"

	o = f.run(t, t.Context(), "tenants=Acme")
	o.counts(t, 1, 0, 0, 0)
	if o.says(t, "nothing is pruned", names); o.err == nil {
		t.Error("the run did not fail at its end")
	}
	o = f.run(t, t.Context(), "tenant-key=id", "dry-run=true")
	if o.says(t, "nothing is pruned"); o.err == nil || strings.Contains(o.log, names) {
		t.Errorf("%v\n%s", o.err, o.log)
	}
	o = f.run(t, t.Context(), "tenants="+f.projects[2].ID)
	o.says(t, "selects none of the 2 tenants found", "1 tenant exists but could not be read: "+f.projects[2].ID,
		"what to do: run again later")
	if strings.Contains(o.log, "the pattern") {
		t.Error(o.log)
	}

	bucket := []string{"s3-bucket=b", "aws-region=eu-central-1", "mode=restore", "restore-into=new-project"}
	o = f.run(t, t.Context(), append(bucket, "tenants=Acme")...)
	o.says(t, `not every tenant could be listed, so "Acme" may select others too`, "is "+f.projects[0].ID)
	f.ResetCalls()
	o = f.run(t, t.Context(), "mode=create-tenant", "tenant-name=Hooli")
	o.says(t, `not every tenant could be listed, so there may be one named "Hooli"`)
	if o.err == nil || f.Calls().ByRoute["POST /projects"] > 0 {
		t.Errorf("%v, %v", o.err, f.Calls().ByRoute)
	}
}

func TestAnIncompleteDiscoveryPrunesNoBackup(t *testing.T) {
	servertest.Long(t)
	f, v := newFleet(t, named("Acme", "Globex")...), newVault(t)
	f.run(t, t.Context()).counts(t, 2, 0, 0, 0)
	old := buckettest.BackupKey("tenants/acme/", time.Now().Add(-30*24*time.Hour))
	v.put(t, old, old+".json")
	f.unreadable(f.projects[1])
	o := f.run(t, t.Context(), v.inputs("mode=backup", "retention-days=1")...)
	o.counts(t, 1, 0, 0, 0)
	if o.says(t, "nothing is pruned"); o.err == nil {
		t.Error("the run did not fail at its end")
	}
	if keys := v.keys(t); len(keys) != 4 || !slices.Contains(keys, old) {
		t.Errorf("the bucket holds %v", keys)
	}
}
