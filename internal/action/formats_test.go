package action

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/org/neon-tenants-action/internal/bucket/buckettest"
	"github.com/org/neon-tenants-action/internal/neon/neontest"
	"github.com/org/neon-tenants-action/internal/postgres/pgtest"
	"github.com/org/neon-tenants-action/internal/secrets"
	"github.com/org/neon-tenants-action/internal/servertest"
)

var newFormats = flag.String("formats", "", "write what runs leave now to a directory of this name in testdata/formats")

// keptFleet has the tenants of what is kept in testdata/formats.
func keptFleet(t *testing.T) *organisation {
	return newFleet(t, neontest.Spec{Name: "ACME Corp", ID: "quiet-river-12345678"},
		neontest.Spec{Name: "Payroll Inc", ID: "misty-field-87654321"})
}

// keptSecrets are the tenants whose secrets are kept, one of which leaves.
func keptSecrets(t *testing.T) *hub { return newHub(t, "acme-corp", "gone-inc", "payroll-inc") }

// TestOldFormats reads what runs of earlier versions have left: reports, a backup with its manifest and its proof, a
// catalog, what a sync remembers. There is a directory for each release, and two for the time before the first, when
// there were no proofs at first. What is in them never changes.
func TestOldFormats(t *testing.T) {
	if *newFormats != "" {
		keepFormats(t, filepath.Join("testdata", "formats", *newFormats))
	}
	versions, err := filepath.Glob("testdata/formats/*")
	if err != nil || len(versions) == 0 {
		t.Fatalf("nothing is kept: %v", err)
	}
	for _, dir := range versions {
		t.Run(filepath.Base(dir), func(t *testing.T) {
			f, v := keptFleet(t), newVault(t)
			if err := os.CopyFS(filepath.Join(f.workspace, "reports"), os.DirFS(filepath.Join(dir, "reports"))); err != nil {
				t.Fatal(err)
			}

			o := f.run(t, t.Context(), "mode=report", "neon-api-url=", "neon-api-key=", "report-files=reports/shard-*.json")
			o.counts(t, 1, 0, 1, 0) // a report of failures fails, too

			o = f.run(t, t.Context(), "retry-failed=true", "previous-report=reports/shard-*.json")
			o.counts(t, 1, 0, 0, 0)
			if got := o.report.Tenants[0].Name; got != "Payroll Inc" {
				t.Errorf("%s was tried again", got)
			}

			name := strings.TrimSpace(string(readKept(t, dir, "key")))
			v.putText(t, name, string(readKept(t, dir, "backup.gz")))
			v.putText(t, name+".json", string(readKept(t, dir, "manifest.json")))
			proven := "never proven"
			if filepath.Base(dir) != "before-drills" {
				v.putText(t, name+".proof.json", string(readKept(t, dir, "proof.json")))
				proven = "last proven"
			}
			f.run(t, t.Context(), v.inputs("mode=verify-backups", "dry-run=true", "neon-api-key=", "neon-api-url=",
				"verify-database-url="+pgtest.Shared(t).URL("postgres"))...).says(t, proven)
			target := pgtest.Database(t)
			f.run(t, t.Context(), v.inputs("mode=restore", "tenants=ACME Corp", "restore-url="+target,
				"backup-key="+name)...).counts(t, 1, 0, 0, 0)
			servertest.Equal(t, "the restored rows", pgtest.Ask(t, target, "select email from users order by id"),
				[]string{"ana@acme.example", "bo@acme.example"})

			catalog := catalogDatabase(t)
			if err := pgtest.Load(t, catalog, bytes.NewReader(readKept(t, dir, "catalog.sql"))); err != nil {
				t.Fatal(err)
			}
			const seen = "select name || ' ' || first_seen_at::text from project order by name"
			was := pgtest.Ask(t, catalog, seen)
			f.run(t, t.Context(), "catalog-url="+catalog).counts(t, 1, 1, 0, 0)
			servertest.Equal(t, "when the catalog has first seen them", pgtest.Ask(t, catalog, seen), was)
			servertest.Equal(t, "its last run", pgtest.Ask(t, catalog,
				"select mode || ' ' || outcome || ' ' || succeeded from run order by started_at desc limit 1"),
				[]string{"migrate succeeded 1"})

			h := keptSecrets(t)
			h.SetVariable(h.scope, secrets.StateVariable, string(readKept(t, dir, "state")))
			var written map[string]time.Time
			if err := json.Unmarshal(readKept(t, dir, "secrets.json"), &written); err != nil {
				t.Fatal(err)
			}
			for name, value := range h.perTenant() {
				h.SetSecret(h.scope, name, value, written[name])
			}
			delete(h.tenants, "gone-inc")
			o = h.sync(t, "prune-secrets=true")
			o.counts(t, 0, 2, 0, 0)
			h.holds(t, h.perTenant())
		})
	}
}

// commands are psql's own, which an older one may not know.
var commands = regexp.MustCompile(`(?m)^\\.*\n`)

// keepFormats writes a directory of testdata/formats.
func keepFormats(t *testing.T, dir string) {
	t.Helper()
	f, v, catalog := keptFleet(t), newVault(t), catalogDatabase(t)
	query(t, f.projects[1], "create table projects (by_hand text)")
	keep := func(name, text string) {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, shard := range []string{"1", "2"} {
		o := f.run(t, t.Context(), "shard="+shard+"/2", "$GITHUB_RUN_ID=7", "catalog-url="+catalog)
		keep("reports/shard-"+shard+".json", o.reportText)
	}
	query(t, f.projects[0],
		"insert into users (email, name) values ('ana@acme.example', 'Ana'), ('bo@acme.example', 'Bo')")
	f.run(t, t.Context(), v.inputs("mode=backup", "tenants=ACME Corp", "catalog-url="+catalog)...).counts(t, 1, 0, 0, 0)
	f.run(t, t.Context(), v.inputs("mode=verify-backups", "neon-api-key=", "neon-api-url=",
		"verify-database-url="+pgtest.Shared(t).URL("postgres"))...).counts(t, 1, 0, 0, 0)
	for _, key := range v.keys(t) {
		file := "backup.gz"
		switch {
		case strings.HasSuffix(key, ".proof.json"):
			file = "proof.json"
		case strings.HasSuffix(key, ".json"):
			file = "manifest.json"
		default:
			keep("key", key+"\n")
		}
		keep(file, string(buckettest.Read(t, v.Server, v.bucket, key)))
	}
	dump, err := exec.Command(filepath.Join(pgtest.Shared(t).BinDir, "pg_dump"), "--no-owner", "--no-privileges",
		"--inserts", catalog).Output()
	if err != nil {
		t.Fatal(err)
	}
	keep("catalog.sql", commands.ReplaceAllString(string(dump), ""))
	h := keptSecrets(t)
	h.sync(t).counts(t, 3, 0, 0, 0)
	state, _ := h.Variable(h.scope, secrets.StateVariable)
	keep("state", state)
	keep("secrets.json", string(mustJSON(t, h.Written(h.scope))))
}

func readKept(t *testing.T, dir, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return text
}
