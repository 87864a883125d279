package action

import (
	"strings"
	"testing"
	"time"

	"github.com/org/neon-tenants-action/internal/bucket/buckettest"
	"github.com/org/neon-tenants-action/internal/postgres/pgtest"
	"github.com/org/neon-tenants-action/internal/servertest"
)

// Manifests that are no manifests, beside newer objects in the tenant's folder: every mode works with the backup that
// is one, names the others, and deletes none of them.
func TestJunkBesideABackup(t *testing.T) {
	servertest.Long(t)
	f, v := newFleet(t, named("ACME Corp")...), newVault(t)
	f.run(t, t.Context()).counts(t, 1, 0, 0, 0)
	good := f.run(t, t.Context(), v.inputs("mode=backup")...).outputs["backup-key"]
	var junk []string
	for i, text := range []string{"", "not JSON", `["a"]`, `{"name": "another-tool", "version": "1.0.0"}`,
		strings.Repeat("x", 2<<20)} {
		key := buckettest.BackupKey("tenants/acme-corp/", time.Now().Add(time.Duration(i+1)*time.Second))
		v.put(t, key)
		v.putText(t, key+".json", text)
		junk = append(junk, key)
	}
	const passed = "5 backups passed over: "
	for name, c := range map[string]struct {
		inputs []string
		says   []string
	}{
		"restore": {[]string{"mode=restore", "restore-url=" + pgtest.Database(t)},
			[]string{"rows in 4 tables", passed}},
		"health-check":          {[]string{"mode=health-check", "fail-on=backup-age"}, nil},
		"require-backup-within": {[]string{"mode=migrate", "require-backup-within=1h"}, nil},
		"drop-tenant":           {drop("ACME Corp", "dry-run=true"), []string{"with the backup " + good, passed}},
		"skip-unchanged":        {[]string{"mode=backup", "skip-unchanged=true", "dry-run=true"}, nil},
		"prune": {[]string{"mode=backup", "prune-only=true", "retention-days=0"},
			[]string{passed, "is larger than any that this program writes"}},
	} {
		o := f.run(t, t.Context(), v.inputs(c.inputs...)...)
		if o.err != nil {
			t.Errorf("%s: %v\n%s", name, o.err, o.log)
		}
		o.says(t, c.says...)
	}
	for _, key := range junk {
		o := f.run(t, t.Context(), v.inputs("mode=restore", "restore-url="+pgtest.Database(t), "backup-key="+key)...)
		o.counts(t, 0, 0, 1, 0)
		o.says(t, key+" is not restored: its manifest ", "delete it and give backup-key")
	}
	if n := len(v.keys(t)); n != 2+2*len(junk) {
		t.Errorf("%d objects are left", n)
	}
}

// A folder that holds nothing else says what to do about it, not that the bucket may be the wrong one.
func TestNothingButJunk(t *testing.T) {
	f, v := newFleet(t, named("ACME Corp")...), newVault(t)
	key := buckettest.BackupKey("tenants/acme-corp/", time.Now().Add(-time.Hour))
	v.put(t, key)
	v.putText(t, key+".json", "[]")
	for name, c := range map[string]struct{ inputs, says []string }{
		"restore": {[]string{"mode=restore", "restore-url=" + pgtest.Database(t)},
			[]string{"there is no verified backup in ", "delete it and give backup-key"}},
		"health-check": {[]string{"mode=health-check", "fail-on=backup-age"}, []string{"it has no verified backup"}},
		"require-backup-within": {[]string{"mode=migrate", "require-backup-within=1h"},
			[]string{"there is no verified backup in "}},
	} {
		o := f.run(t, t.Context(), v.inputs(c.inputs...)...)
		if o.err == nil {
			t.Errorf("%s: it counts as a backup:\n%s", name, o.log)
		}
		o.says(t, append(c.says, key+" (its manifest is not one that this program wrote)")...)
	}
}
