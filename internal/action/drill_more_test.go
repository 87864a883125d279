package action

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"filippo.io/age"

	"github.com/org/neon-tenants-action/internal/backups"
	"github.com/org/neon-tenants-action/internal/bucket/buckettest"
	"github.com/org/neon-tenants-action/internal/mode/backup"
	"github.com/org/neon-tenants-action/internal/postgres/pgtest"
	"github.com/org/neon-tenants-action/internal/servertest"
)

// A drill that finds no backup at all, as after a mistyped prefix, does not pass as a proof.
func TestADrillWithoutBackupsWarns(t *testing.T) {
	f, v := newFleet(t, named("ACME Corp")...), newVault(t)
	o := f.run(t, t.Context(), v.inputs("mode=verify-backups", "dry-run=true",
		"verify-database-url="+pgtest.Shared(t).URL("postgres"))...)
	o.counts(t, 0, 1, 0, 0)
	o.says(t, "no backup was found under s3://"+v.bucket+"/tenants/, so nothing is proven; check that s3-bucket")
}

// With a source, those that have no backup are found too, and the catalog learns what was proven, but not of tenants
// that are gone.
func TestDrillsKnowTheSource(t *testing.T) {
	servertest.Long(t)
	f, v, catalog := newFleet(t, named("ACME Corp", "Bare")...), newVault(t), catalogDatabase(t)
	record, on := "catalog-url="+catalog, verifier(t)
	f.run(t, t.Context(), v.inputs("mode=backup", "tenants=ACME Corp", record)...).counts(t, 1, 0, 0, 0)
	key := v.backupKeys(t)[0]
	gone := v.manifest(t, key)
	gone.Key = strings.Replace(key, "/acme-corp/", "/gone/", 1)
	gone.Tenant.ID, gone.Tenant.Name = "id-gone", "Gone"
	text, err := json.Marshal(gone)
	if err != nil {
		t.Fatal(err)
	}
	v.putText(t, gone.Key, string(buckettest.Read(t, v.Server, v.bucket, key)))
	v.putText(t, gone.Key+".json", string(text))

	health := func(more ...string) outcome {
		t.Helper()
		return f.run(t, t.Context(), v.inputs(append([]string{"mode=health-check", "migrations-path="}, more...)...)...)
	}
	f.run(t, t.Context(), v.inputs("mode=verify-backups", "verify-database-url="+on, "sample=1", "max-proof-age=1d",
		record)...).says(t, "sample: 1 proves 1 of 2 tenants", "it has no verified backup")
	o := f.run(t, t.Context(), v.inputs("mode=verify-backups", "verify-database-url="+on, "sample=100%", record)...)
	o.counts(t, 2, 1, 0, 0)
	same(t, "in the catalog", askAll(t, catalog, recorded),
		[]string{"ACME Corp | neon | acme-corp | t | t | t", "Bare | neon | bare | f | t"})
	o = health("fail-on=proof-age")
	o.counts(t, 1, 0, 1, 0)
	o.says(t, "Bare", "no backup of it was ever proven to restore")
	if d := o.healthOf(t, "ACME Corp"); d.ProvenBackup != key || d.ProofAge == nil || *d.ProofAge > 3600 {
		t.Errorf("health of ACME Corp: %+v", d)
	}
	old := v.proof(t, key)
	old.FinishedAt = old.FinishedAt.AddDate(0, 0, -40)
	v.putText(t, key+".proof.json", string(mustJSON(t, old)))
	o = health("fail-on=none", "max-proof-age=39d")
	o.counts(t, 2, 0, 0, 0)
	o.says(t, "the proof that a backup of it restores is older than max-proof-age")
	if o := health("fail-on=none"); strings.Contains(o.log, "proven") {
		t.Errorf("nobody asked for proofs: %s", o.log)
	}

	// Without a source, the run is recorded and no tenant.
	o = f.run(t, t.Context(), v.drillInputs(on, "sample=1", record, "tenants=ACME Corp")...)
	o.counts(t, 1, 0, 0, 0)
	o.says(t, "recorded 0 tenants")
}

// The proof of a pruned backup goes with the next one: until then it is all that tells when the tenant was proven.
func TestProofsArePruned(t *testing.T) {
	servertest.Long(t)
	f, v := newFleet(t), newVault(t)
	on := verifier(t)
	urls := map[string]string{"a": pgtest.Database(t)}
	makeBackup := func() {
		t.Helper()
		time.Sleep(time.Second) // a backup's key tells seconds apart
		f.run(t, t.Context(), secretTenants(t, v, urls, "verify=stream", "retention-days=0")...).counts(t, 1, 0, 0, 0)
	}
	proofs := func() (keys []string) {
		return slices.DeleteFunc(v.keys(t), func(key string) bool { return !strings.HasSuffix(key, ".proof.json") })
	}
	drill := func() {
		t.Helper()
		f.run(t, t.Context(), v.drillInputs(on)...).counts(t, 1, 0, 0, 0)
	}
	makeBackup()
	drill()
	first := proofs()
	makeBackup()
	same(t, "the only proof stays", proofs(), first)
	o := f.run(t, t.Context(), v.drillInputs(on, "dry-run=true")...)
	if d := detail[backup.DrillDetail](t, o, "a"); d.ProvenAt == nil || d.ProvenKey+".proof.json" != first[0] {
		t.Errorf("after its backup was pruned: %+v", d)
	}
	drill()
	if got := proofs(); len(got) != 2 {
		t.Errorf("two proofs, before one is pruned: %v", got)
	}
	second := proofs()[1:]
	// Somebody else's, who had the name before, is not ours to prune.
	former := regexp.MustCompile(`/\d{4}`).ReplaceAllString(first[0], "/2001")
	var p backups.RestoreProof
	if err := json.Unmarshal(buckettest.Read(t, v.Server, v.bucket, first[0]), &p); err != nil {
		t.Fatal(err)
	}
	p.Key, p.Tenant.ID = strings.TrimSuffix(former, ".proof.json"), "former"
	v.putText(t, former, string(mustJSON(t, p)))
	makeBackup()
	same(t, "the older proof is pruned", proofs(), append([]string{former}, second...))
	if keys := v.backupKeys(t); len(keys) != 1 {
		t.Errorf("a proof kept a backup: %v", keys)
	}
}

// A backup of a schema, an archive and an encrypted one are proven as well.
func TestDrillsOfOtherBackups(t *testing.T) {
	servertest.Long(t)
	e, v := newEstate(t, "acme"), newVault(t)
	on := verifier(t)
	column(t, superuserURL(t, column(t, e.url, "select current_database()")[0]),
		"create extension citext schema public; select 1")
	e.run(t).counts(t, 1, 0, 0, 0)
	e.do(t, "alter table acme.users add nick public.citext; insert into acme.users (email, name) values ('a@x', 'A')")
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name                string
		inputs              []string
		compared, uncounted int
	}{
		{"plain", nil, 6, 0},
		{"archive", []string{"backup-format=custom", "age-recipients=" + identity.Recipient().String()}, 5, 1},
	} {
		prefix := "s3-prefix=" + c.name
		e.run(t, v.inputs(append(c.inputs, "mode=backup", prefix)...)...).counts(t, 1, 0, 0, 0)
		f := newFleet(t)
		o := f.run(t, t.Context(), v.drillInputs(on, prefix, "age-identity="+identity.String(),
			"check-sql=select count(*) = 1 from users")...)
		o.counts(t, 1, 0, 0, 0)
		d := detail[backup.DrillDetail](t, o, "acme")
		if len(d.Compared) != c.compared+1 || len(d.NotCompared) != c.uncounted || d.Rows != 4 {
			t.Errorf("%s: %+v", c.name, d)
		}
	}
}
