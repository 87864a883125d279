package action

import (
	"fmt"
	"strings"
	"testing"

	"github.com/org/neon-tenants-action/internal/neon/neontest"
	"github.com/org/neon-tenants-action/internal/postgres/pgtest"
	"github.com/org/neon-tenants-action/internal/secrets"
)

// A job that has the tenants' secrets needs no Neon key: the fleet is migrated, and Neon's API is not called.
func TestAFleetIsMigratedFromSecrets(t *testing.T) {
	f := newFleet(t, named("ACME Corp", "Payroll Inc", "Finance Co")...)
	f.ResetCalls()
	bundle := map[string]string{"acme-corp": f.projects[0].URL, "payroll-inc": f.projects[1].URL}
	given := map[string]string{
		"github_token": "ghs_0123456789", "FINANCE_CO_DATABASE_URL": f.projects[2].URL,
		"PAYROLL_INC_DATABASE_URL": f.projects[1].URL,
		"STRIPE_KEY":               "sk_hush_hush", "npm-token": "npm_hush_hush", "reporting": "postgres://u:hush-hush@h/d",
		"NEON_TENANTS_BUNDLE_1": string(mustJSON(t, bundle)),
		"LEGACY_DATABASE_URL":   "mysql://u:hush-hush@h/d",
	}
	inputs := []string{"neon-api-key=", "tenant-source=secrets", "tenant-secrets=" + string(mustJSON(t, given))}
	o := f.run(t, t.Context(), append(inputs, "tenants=*,!legacy")...)
	o.counts(t, 3, 0, 0, 0)
	o.says(t, "found 4 tenants, selected 3", "acme-corp  3 applied", "finance-co  3 applied")
	o.keeps(t, f.projects)
	if strings.Contains(o.log, "sk_hush_hush") || strings.Contains(o.log, "STRIPE") || strings.Contains(o.log, "ghs_") ||
		strings.Contains(o.log, "npm") || strings.Contains(o.log, "reporting") || f.Calls().Total != 0 {
		t.Errorf("%d calls of Neon's API, and the log\n%s", f.Calls().Total, o.log)
	}
	// What is resolved is masked, once, and nothing else is.
	for text, want := range map[string]int{f.projects[0].URL: 1, f.projects[1].URL: 1, "mysql://u:hush-hush@h/d": 0} {
		if got := strings.Count(o.log, "::add-mask::"+strings.ReplaceAll(text, "%", "%25")+"\n"); got != want {
			t.Errorf("%d masks of one text, want %d", got, want)
		}
	}
	f.run(t, t.Context(), append(inputs, "tenants=*,!legacy", "mode=health-check")...).counts(t, 3, 0, 0, 0)
	o = f.run(t, t.Context(), inputs...)
	o.counts(t, 0, 3, 1, 0)
	o.says(t, "the value of LEGACY_DATABASE_URL is not a Postgres URL")
}

// A run that finds too few tenants says where it looked and which of the source's own inputs to check: of the secrets
// no name and no value, for most of them are nobody's tenants.
func TestTooFewTenantsNameTheSourcesOwnInputs(t *testing.T) {
	t.Parallel()
	f, url := newFleet(t), pgtest.Database(t)
	pgtest.Do(t, url, "create table public.schema_tracker (name text primary key)")
	for _, c := range []struct {
		inputs []string
		want   []string
	}{
		{[]string{"tenant-source=secrets",
			`tenant-secrets={"github_token": "ghs_hush", "STRIPE_KEY": "sk_hush", "ACME_DB": "postgres://u:hush@h/d"}`},
			[]string{"found 0 tenants, fewer than min-tenants: 1; of the 3 entries of tenant-secrets, " +
				"0 have the form of secret-name: {TENANT}_DATABASE_URL, and 0 are bundles", "set secret-name to the form of"}},
		{[]string{"tenant-source=secrets", `tenant-secrets={"github_token": "ghs_hush"}`},
			[]string{"of the 1 entry of tenant-secrets", "secrets: inherit"}},
		{[]string{"tenant-source=secrets", `tenant-secrets={"ACME_DB": "postgres://u:hush@h/d"}`},
			[]string{"of the 1 entry of tenant-secrets", "set secret-name to the form of"}},
		{[]string{"tenant-source=secrets", "$NEON_TENANTS_BUNDLE_1={}"}, []string{"the job's environment has 1 bundle"}},
		{[]string{"tenant-source=schemas", "database-url=" + url},
			[]string{"every name in public.schema_tracker of ", "check that schema-tracker"}},
		{[]string{"tenant-source=catalog", "database-url=" + url,
			"catalog-query=select name, name as url from schema_tracker"},
			[]string{"every row that catalog-query returns from ", "check the conditions of catalog-query"}},
		{[]string{"tenant-source=neon", "neon-api-key=" + neontest.OrgKey},
			[]string{"every project of the organization of neon-api-key counts", "check that neon-api-key and neon-org-id"}},
	} {
		o := f.run(t, t.Context(), append([]string{"neon-api-key=", "dry-run=true"}, c.inputs...)...)
		o.says(t, append(c.want, "fewer than min-tenants: 1", "lower min-tenants if so few are right")...)
		_, said, _ := strings.Cut(o.log, "neon-tenants-action : ")
		for _, secret := range []string{"hush", "STRIPE_KEY", "ACME_DB"} {
			if strings.Contains(said, secret) {
				t.Errorf("%v: the log has %s:\n%s", c.inputs, secret, said)
			}
		}
		if c.inputs[0] != "tenant-source=neon" && strings.Contains(said, "neon-api-key") {
			t.Errorf("%v: the log sends the user to an input of another source:\n%s", c.inputs, said)
		}
	}
}

// A thousand tenants' connection strings are more than one variable holds, and fit into bundles of their own.
func TestAFleetIsListedFromBundlesOfTheEnvironment(t *testing.T) {
	t.Parallel()
	f, inputs, total := newFleet(t), []string{"neon-api-key=", "tenant-source=secrets", "mode=list-tenants"}, 0
	for n := range 5 {
		members := map[string]string{}
		for i := range 200 {
			key := fmt.Sprintf("customer-%d-%03d", n, i)
			members[key] = connection(key, "1")
		}
		bundle := secrets.EncodeBundle(members)
		inputs = append(inputs, "$"+secrets.BundleName(n+1)+"="+bundle)
		total += len(bundle)
	}
	if total < 1<<17 {
		t.Fatalf("%d bytes would fit into one variable", total)
	}
	o := f.run(t, t.Context(), inputs...)
	o.counts(t, 0, 1000, 0, 0)
	if _, after, _ := strings.Cut(o.log, "neon-tenants-action : list-tenants"); strings.Contains(after, "postgresql://") {
		t.Error("a connection string is shown")
	}
}

// Nor does it need one to back up and to restore.
func TestAFleetIsBackedUpFromSecrets(t *testing.T) {
	f, v := newFleet(t, named("ACME Corp", "Payroll Inc")...), newVault(t)
	given := map[string]string{"ACME_CORP_DATABASE_URL": f.projects[0].URL, "PAYROLL_INC_DATABASE_URL": f.projects[1].URL}
	from := func(more ...string) []string {
		return v.inputs(append([]string{"neon-api-key=", "tenant-source=secrets",
			"tenant-secrets=" + string(mustJSON(t, given))}, more...)...)
	}
	f.run(t, t.Context(), from("mode=migrate")...).counts(t, 2, 0, 0, 0)
	query(t, f.projects[0], "insert into users (email, name) values ('a@x', 'a')")
	f.ResetCalls()
	o := f.run(t, t.Context(), from("mode=backup")...)
	o.counts(t, 2, 0, 0, 0)
	o.keeps(t, f.projects)
	if keys := v.keys(t); len(keys) != 4 || !strings.HasPrefix(keys[0], "tenants/acme-corp/") || f.Calls().Total != 0 {
		t.Errorf("%d calls of Neon's API, and the bucket has %v", f.Calls().Total, keys)
	}
	o = f.run(t, t.Context(), from("mode=restore", "tenants=acme-corp", "restore-url="+pgtest.Database(t))...)
	o.counts(t, 1, 0, 0, 0)
	o.says(t, "4 rows in 4 tables")
}
