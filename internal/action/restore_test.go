package action

import (
	"cmp"
	"strings"
	"testing"

	"github.com/org/neon-tenants-action/internal/bucket/buckettest"
	"github.com/org/neon-tenants-action/internal/postgres/pgtest"
)

// A backup is read twice, and nothing is dropped, loaded or created before it was found whole and is still the same.
func TestRestoreVerifiesBeforeItTouchesAnything(t *testing.T) {
	const first, second = 2, 3 // the manifest is read before
	f, v := newFleet(t, named("acme")...), newVault(t)
	f.run(t, t.Context()).counts(t, 1, 0, 0, 0)
	query(t, f.projects[0], "select lo_from_bytea(42, 'large')")
	f.run(t, t.Context(), v.inputs("mode=backup")...).counts(t, 1, 0, 0, 0)
	var key string
	for _, k := range v.keys(t) {
		if !strings.HasSuffix(k, ".json") {
			key = k
		}
	}
	for _, c := range []struct {
		name  string
		fault buckettest.Fault
		into  string
		says  string
	}{
		{"damaged", buckettest.Fault{Operation: "GetObject", Nth: first, Way: buckettest.DamageBody}, "", "damaged"},
		{"damaged, for a project", buckettest.Fault{Operation: "GetObject", Nth: first, Way: buckettest.DamageBody},
			"restore-into=new-project", "damaged"},
		{"damaged later", buckettest.Fault{Operation: "GetObject", Nth: second, Way: buckettest.DamageBody}, "", ""},
		{"replaced", buckettest.Fault{
			Operation: "GetObject", Nth: second, Times: 1, Way: buckettest.Pass, Then: func() { v.put(t, key) },
		}, "", "the object was replaced while it was being read"},
	} {
		t.Run(c.name, func(t *testing.T) {
			proxy := buckettest.StartFaultProxy(t, v.Server)
			proxy.Inject(c.fault)
			target := pgtest.Database(t)
			pgtest.Do(t, target, "create table kept as select 1 i")
			f.ResetCalls()
			o := f.run(t, t.Context(), v.inputs("mode=restore", "s3-endpoint="+proxy.URL,
				cmp.Or(c.into, "restore-url="+target), "overwrite=true")...)
			o.counts(t, 0, 0, 1, 0)
			o.says(t, c.says)
			if got := pgtest.Relations(t, target); len(got) != 1 || !strings.Contains(got[0], "kept") {
				t.Errorf("the target holds %v", got)
			}
			if n := f.Calls().ByRoute["POST /projects"]; n > 0 {
				t.Errorf("%d projects were created", n)
			}
		})
	}
}
