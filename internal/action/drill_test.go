package action

import (
	"context"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/org/neon-tenants-action/internal/backups"
	"github.com/org/neon-tenants-action/internal/bucket/buckettest"
	"github.com/org/neon-tenants-action/internal/mode/backup"
	"github.com/org/neon-tenants-action/internal/postgres/pgtest"
)

// drillInputs are the inputs of a job that needs no source: the bucket knows whose the backups are.
func (v *vault) drillInputs(url string, more ...string) []string {
	return v.inputs(append([]string{
		"mode=verify-backups", "neon-api-key=", "neon-api-url=", "verify-database-url=" + url,
	}, more...)...)
}

func (v *vault) proof(t *testing.T, key string) (p backups.RestoreProof) {
	t.Helper()
	if err := json.Unmarshal(buckettest.Read(t, v.Server, v.bucket, key+".proof.json"), &p); err != nil {
		t.Fatal(err)
	}
	return p
}

// backupKeys are the keys of the backups in the bucket.
func (v *vault) backupKeys(t *testing.T) []string {
	t.Helper()
	return slices.DeleteFunc(v.keys(t), func(key string) bool { return strings.HasSuffix(key, ".json") })
}

// Drills go round: each run proves the tenants that were proven longest ago, one that was dropped since too, and leaves
// the evidence beside each backup.
func TestDrillsGoRound(t *testing.T) {
	f, v := newFleet(t, named("ACME Corp", "Payroll Inc", "Zebra")...), newVault(t)
	f.run(t, t.Context(), "tenants=ACME Corp").counts(t, 1, 0, 0, 0)
	query(t, f.projects[0],
		"insert into users (email, name) select 'u' || i || '@x', 'é' || i from generate_series(1, 1000) i")
	f.run(t, t.Context(), v.inputs("mode=backup")...).counts(t, 3, 0, 0, 0)
	before := v.keys(t)
	on := verifier(t)

	o := f.run(t, t.Context(), v.drillInputs(on, "dry-run=true", "sample=2")...)
	o.counts(t, 2, 1, 0, 0)
	o.says(t, "would restore")
	same(t, "after a dry run", v.keys(t), before)

	o = f.run(t, t.Context(), v.drillInputs(on, "sample=2", "$GITHUB_RUN_ID=77")...)
	o.counts(t, 2, 1, 0, 0)
	o.says(t, "1003 rows in 4 tables", "1 tenant's backups have never been proven to restore: Zebra")
	d := detail[backup.DrillDetail](t, o, "ACME Corp")
	p := v.proof(t, d.Key)
	if m := v.manifest(t, d.Key); p.StoredSHA256 != m.StoredSHA256 || p.Rows != 1003 || p.Tables != 4 ||
		p.SchemaVersion != "20250101090200" || p.Fingerprint != m.Contents.Fingerprint || len(p.NotCompared) > 0 ||
		len(p.Compared) != 6 || p.RunID != "77" || p.Tenant != m.Tenant {
		t.Errorf("the proof is %+v, of %+v", p, m)
	}
	for _, name := range []string{"oldest-proof-age", "restore-p95-seconds"} {
		if n, err := strconv.ParseFloat(o.outputs[name], 64); err != nil || n < 0 || n > 3600 {
			t.Errorf("%s is %q", name, o.outputs[name])
		}
	}
	if !strings.Contains(o.summary, "Restore drills") {
		t.Errorf("the summary is %s", o.summary)
	}

	o = f.run(t, t.Context(), v.drillInputs(on, "sample=1")...)
	o.counts(t, 1, 2, 0, 0)
	if d := detail[backup.DrillDetail](t, o, "Zebra"); !d.Drilled || d.ProvenAt == nil {
		t.Errorf("Zebra: %+v", d)
	}
	o = f.run(t, t.Context(), v.drillInputs(on, "sample=1")...)
	o.counts(t, 1, 2, 0, 0)
	if d := detail[backup.DrillDetail](t, o, "Zebra"); d.Drilled {
		t.Errorf("Zebra goes twice: %+v", d)
	}
	keys := v.keys(t)
	if len(keys) != len(before)+3 {
		t.Errorf("the bucket holds %v", keys)
	}
	same(t, "left behind", scratchesOf(t, on), []string{})
}

// A good backup is proven although its schema is printed otherwise in a throwaway database, which has another name,
// owner and locale, and although a dump leaves some of it out.
func TestDrillsElsewhere(t *testing.T) {
	f, v := newFleet(t), newVault(t)
	on := verifier(t)
	name := column(t, on, "select current_database()")[0] + "_app"
	column(t, superuserURL(t, "postgres"), "create database "+name+" template template0 lc_collate 'C' lc_ctype 'C'")
	t.Cleanup(func() {
		_ = pgtest.Shared(t).Exec(context.Background(), "postgres", "drop database "+name+" with (force)")
	})
	url := superuserURL(t, name)
	column(t, url, `create table accounts (id int primary key, name text);
		insert into accounts values (1, 'a'), (2, 'b');
		create unique index broken on accounts (name);
		update pg_index set indisvalid = false where indexrelid = 'broken'::regclass;
		create table payments (account int references accounts);
		alter table payments disable trigger all;
		create policy mine on payments to current_user;
		create function of_own() returns int language sql set search_path = `+name+` as 'select 1'; select 1`)
	f.run(t, t.Context(), secretTenants(t, v, map[string]string{"app": url}, "verify=stream")...).counts(t, 1, 0, 0, 0)
	o := f.run(t, t.Context(), v.drillInputs(on)...)
	o.counts(t, 1, 0, 0, 0)
	const compared = "the schema's fingerprint with that of the tenant's database"
	if p := v.proof(t, v.backupKeys(t)[0]); !slices.Contains(p.Compared, compared) {
		t.Errorf("the proof is %+v", p)
	}
}
