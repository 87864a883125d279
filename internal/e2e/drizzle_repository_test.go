//go:build e2e

package e2e

import (
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/org/neon-tenants-action/internal/drizzletest"
)

// section is a part of a document under one heading.
type section string

func readGuide(t *testing.T, name string) section {
	t.Helper()
	return section(readText(t, filepath.Join(root, "docs", name)))
}

// section returns what is under a heading of the third level.
func (s section) section(t *testing.T, heading string) section {
	t.Helper()
	_, rest, ok := strings.Cut(string(s), "\n### "+heading+"\n")
	if !ok {
		t.Fatalf("the document has no section %q", heading)
	}
	under, _, _ := strings.Cut(rest, "\n##")
	return section(under)
}

// block returns the nth fenced block of a language.
func (s section) block(t *testing.T, language string, n int) string {
	t.Helper()
	parts := strings.Split(string(s), "\n```"+language+"\n")
	if len(parts) < n+2 {
		t.Fatalf("the section has no block %d of %s:\n%s", n, language, s)
	}
	text, _, _ := strings.Cut(parts[n+1], "\n```\n")
	return text + "\n"
}

// drizzleRepository is a user's, in the layout of a database per tenant with drizzle-kit in a loop.
type drizzleRepository struct {
	dir     string
	sandbox *sandbox
}

const oldWorkflow = ".github/workflows/run-migrations.yml"

func workflow(name string) string { return ".github/workflows/" + name + ".yml" }

// newDrizzleRepository has a configuration for each of the sandbox's tenants, and no migrations yet.
func newDrizzleRepository(t *testing.T, s *sandbox) *drizzleRepository {
	t.Helper()
	packages, err := drizzletest.Install(t.Context(), drizzletest.Journal)
	if err != nil {
		t.Fatal(err)
	}
	r := &drizzleRepository{t.TempDir(), s}
	if err := os.Symlink(filepath.Join(packages, "node_modules"), filepath.Join(r.dir, "node_modules")); err != nil {
		t.Fatal(err)
	}
	r.write(t, ".gitignore", "node_modules\nrecord.txt\n")
	r.write(t, "package.json", `{"private": true, "type": "module"}`)
	lines := ""
	for _, tenant := range s.tenants {
		name := secretOf(tenant)
		lines += fmt.Sprintf("  %s: ${{ secrets.%[1]s }}\n", name)
		r.write(t, configOf(tenant), fmt.Sprintf(`import { defineConfig } from 'drizzle-kit';

export default defineConfig({
  dialect: 'postgresql',
  schema: './src/db/schema.ts',
  out: './drizzle/%s',
  dbCredentials: { url: process.env.%s! },
});
`, strings.TrimSuffix(folder(tenant), "/"), name))
	}
	r.write(t, oldWorkflow, "name: Migrate\non:\n  pull_request:\n    types: [closed]\nenv:\n"+lines+`jobs:
  migrate:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v7
      - run: npm ci && node src/scripts/migrate.js
`)
	r.shell(t, "git init --quiet --initial-branch main")
	return r
}

func configOf(tn tenant) string { return "configs/" + folder(tn) + "drizzle.config.ts" }

func secretOf(tn tenant) string {
	return strings.ToUpper(strings.ReplaceAll(strings.TrimSuffix(folder(tn), "/"), "-", "_")) + "_DATABASE_URL"
}

// schema writes the schema: one table, with further columns.
func (r *drizzleRepository) schema(t *testing.T, columns ...string) {
	t.Helper()
	more := ""
	for _, column := range columns {
		more += fmt.Sprintf("  %s: text('%[1]s'),\n", column)
	}
	r.write(t, "src/db/schema.ts", `import { pgTable, serial, text } from 'drizzle-orm/pg-core';

export const users = pgTable('users', {
  id: serial('id').primaryKey(),
  email: text('email').notNull(),
`+more+"});\n")
}

// generate makes a migration in a customer's own folder.
func (r *drizzleRepository) generate(t *testing.T, tn tenant) {
	t.Helper()
	r.shell(t, "npx drizzle-kit generate --config="+configOf(tn))
}

// shell runs commands as a step of a workflow does, with every customer's connection string in the environment, and
// returns what they print.
func (r *drizzleRepository) shell(t *testing.T, commands string) string {
	t.Helper()
	cmd := exec.Command("bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", commands)
	cmd.Dir = r.dir
	cmd.Env = append(surroundings(), "GIT_AUTHOR_NAME=Tester", "GIT_AUTHOR_EMAIL=tester@example.com",
		"GIT_COMMITTER_NAME=Tester", "GIT_COMMITTER_EMAIL=tester@example.com")
	for _, tenant := range r.sandbox.tenants {
		cmd.Env = append(cmd.Env, secretOf(tenant)+"="+withoutTLS(t, tenant))
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s\n%v: %s", commands, err, out)
	}
	return string(out)
}

// withoutTLS is a tenant's connection string for node, which would refuse the sandbox's certificate.
func withoutTLS(t *testing.T, tn tenant) string {
	t.Helper()
	u, err := url.Parse(tn.uri)
	if err != nil {
		t.Fatal("a connection string is not a URL")
	}
	u.RawQuery = "sslmode=disable"
	return u.String()
}

func (r *drizzleRepository) commit(t *testing.T, message string) {
	t.Helper()
	r.shell(t, "git add --all && git commit --quiet --message '"+message+"'")
}

func (r *drizzleRepository) write(t *testing.T, name, text string) {
	t.Helper()
	path := filepath.Join(r.dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func (r *drizzleRepository) read(t *testing.T, name string) string {
	t.Helper()
	return readText(t, filepath.Join(r.dir, filepath.FromSlash(name)))
}

func readText(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// act runs one of the repository's workflows.
func (r *drizzleRepository) act(t *testing.T, event, name string, args ...string) outcome {
	t.Helper()
	artifacts, _ := actArtifacts(t)
	return runAct(t, r.sandbox, r.dir, event,
		append(append(artifacts, "--workflows", filepath.Join(r.dir, workflow(name))), args...)...)
}

// check runs a health check.
func (r *drizzleRepository) check(t *testing.T) outcome {
	t.Helper()
	inputs := r.sandbox.migrate()
	inputs["mode"], inputs["migrations-format"] = "health-check", "drizzle"
	checked := runStep(t, r.dir, inputs)
	if err := os.Remove(filepath.Join(r.dir, checked.outputs["report-file"])); err != nil {
		t.Error(err)
	}
	return checked
}

// records are those that the tenants have of applied migrations, as drizzle orders them, by the tenants' names.
func (r *drizzleRepository) records(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, tenant := range r.sandbox.tenants {
		all[tenant.name] = query[string](t, tenant, "select string_agg(concat_ws(' ', hash, created_at), ', ' order by id) "+
			"from drizzle.__drizzle_migrations")
	}
	return all
}

// has checks that every tenant has a column, so many records, and that an old one has its data.
func (r *drizzleRepository) has(t *testing.T, column string, records int) {
	t.Helper()
	for i, tenant := range r.sandbox.tenants {
		if n := query[int](t, tenant, "select count(*) from drizzle.__drizzle_migrations"); n != records {
			t.Errorf("%s has %d records, want %d", tenant.name, n, records)
		}
		const with = "select count(*) from information_schema.columns where table_name = 'users' and column_name = "
		if query[int](t, tenant, with+"'"+column+"'") != 1 {
			t.Errorf("%s has no column %s", tenant.name, column)
		}
		if n := query[int](t, tenant, "select count(*) from users"); i < 4 && n != 1 {
			t.Errorf("%s has %d users, want the one of before", tenant.name, n)
		}
	}
}

// quiet checks that a run warned of nothing.
func (o outcome) quiet(t *testing.T) {
	t.Helper()
	for line := range strings.Lines(o.log) {
		if strings.Contains(line, "warning: ") {
			t.Errorf("the run warned: %s", line)
		}
	}
}
