//go:build e2e

package e2e

import (
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/org/neon-tenants-action/internal/drizzletest"
	"github.com/org/neon-tenants-action/internal/servertest"
)

// TestMoveFromDrizzle follows docs/from-drizzle.md with the commands and files that stand there: from four customers
// with a folder each, which drizzle-kit generated and applied, to this action and back. The last customer joined late,
// so that its first file makes the whole schema.
func TestMoveFromDrizzle(t *testing.T) {
	servertest.Long(t)
	drizzletest.Need(t)
	sandbox := startSandbox(t, "--tenants", "4")
	r, guide := newDrizzleRepository(t, sandbox), readGuide(t, "from-drizzle.md")
	early, late := sandbox.tenants[:3], sandbox.named(t, "Talent Biz")
	for _, columns := range [][]string{{}, {"nickname"}} {
		r.schema(t, columns...)
		for _, tenant := range early {
			r.generate(t, tenant)
		}
	}
	r.generate(t, late)
	for _, tenant := range sandbox.tenants {
		r.shell(t, "npx drizzle-kit migrate --config="+configOf(tenant))
		tenant.exec(t, "insert into users (email) values ('first@example.com')")
	}
	used := regexp.MustCompile(`(?m)^  ([A-Z_]+): `).FindAllStringSubmatch(r.read(t, oldWorkflow), -1)
	r.commit(t, "The old repository")

	t.Log("1. one folder of migrations")
	keep := guide.section(t, "1. Keep one folder of migrations")
	list := strings.Split(strings.TrimSpace(r.shell(t, keep.block(t, "sh", 0))), "\n")
	last := strings.Fields(list[len(list)-1])
	if first := strings.Fields(list[0]); len(list) != 4 || first[2] != "drizzle/acme-corp" ||
		strings.Count(strings.Join(list, "\n"), " "+first[1]+" ") != 3 || last[2] != "drizzle/talent-biz" {
		t.Errorf("the list is\n%s", strings.Join(list, "\n"))
	}
	r.shell(t, keep.block(t, "sh", 1))
	r.write(t, "drizzle.config.ts", keep.block(t, "ts", 0))

	t.Log("2. the workflows")
	for _, example := range []string{"migrate-on-merge", "migrate-by-hand", "create-tenant", "sync-secrets"} {
		r.write(t, workflow(example), readText(t, filepath.Join(root, "examples", example+".yml")))
	}
	workflows := guide.section(t, "2. Write the workflows")
	r.shell(t, workflows.block(t, "sh", 0))
	merged := r.read(t, workflow("migrate-on-merge"))
	if want := workflows.block(t, "yaml", 0); !strings.Contains(merged, want) ||
		!strings.Contains(merged, "paths: [drizzle/**]") {
		t.Errorf("migrate-on-merge.yml lacks\n%s\nin\n%s", want, merged)
	}
	r.commit(t, "Move to the action")

	t.Log("3. a dry run, and a health check")
	before := r.records(t)
	total := strconv.Itoa(len(sandbox.tenants))
	job := r.act(t, "workflow_dispatch", "migrate-by-hand")
	job.wants(t, "unchanged", total)
	for _, tenant := range sandbox.tenants {
		warned := strings.Contains(job.log, tenant.name+": not applied, and skipped for good")
		if warned != (tenant.name == late.name) {
			t.Errorf("the dry run warned of %s: %v", tenant.name, warned)
		}
	}
	servertest.Equal(t, "records after the dry run", r.records(t), before)
	if check := r.check(t); check.exit == 0 || !strings.Contains(check.log, "Schemas: "+total+" tenants match") {
		t.Errorf("the health check ended with %d, or does not say that the schemas match", check.exit)
	}
	r.shell(t, guide.section(t, "3. Look before anything is run").block(t, "sh", 0))
	before["Talent Biz"] = before["ACME Corp"]
	servertest.Equal(t, "records, one replaced", r.records(t), before)
	if check := r.check(t); check.exit != 0 {
		t.Errorf("the health check ended with %d", check.exit)
	}

	t.Log("a merge without a new migration, and one with it")
	job = r.act(t, "push", "migrate-on-merge")
	job.wants(t, "unchanged", total)
	job.quiet(t)
	servertest.Equal(t, "records after nothing was pending", r.records(t), before)
	r.schema(t, "nickname", "city")
	r.shell(t, "npx drizzle-kit generate")
	r.commit(t, "Add a column")
	job = r.act(t, "push", "migrate-on-merge")
	job.wants(t, "succeeded", total)
	job.quiet(t)
	r.has(t, "city", 3)

	t.Log("4. what has replaced the scripts: a new customer, and secrets")
	job = r.act(t, "workflow_dispatch", "create-tenant", "--input", "tenant=Initech")
	job.wants(t, "succeeded", "1")
	made := tenant{job.outputs["tenant-id"], "Initech", sandbox.uri(t, job.outputs["tenant-id"])}
	made.wake(t)
	made.uri = sandbox.uri(t, made.id)
	sandbox.tenants = append(sandbox.tenants, made)
	r.has(t, "city", 3)
	job = r.act(t, "workflow_dispatch", "sync-secrets", "--secret", "SECRETS_TOKEN="+sandbox.environment["GITHUB_TOKEN"],
		"--env", "GITHUB_API_URL="+sandbox.environment["GITHUB_API_URL"],
		"--env", "GITHUB_REPOSITORY="+sandbox.environment["GITHUB_REPOSITORY"])
	names := []string{"INITECH_DATABASE_URL"}
	for _, name := range used {
		names = append(names, name[1])
	}
	slices.Sort(names)
	servertest.Equal(t, "secrets", sandbox.secretNames(t), names)

	t.Log("back: drizzle-kit finds nothing to do, and this action nothing after drizzle-kit")
	back := guide.section(t, "Going back").block(t, "sh", 0)
	before = r.records(t)
	r.shell(t, back)
	servertest.Equal(t, "records after drizzle-kit found nothing", r.records(t), before)
	r.schema(t, "nickname", "city", "street")
	r.shell(t, "npx drizzle-kit generate")
	r.shell(t, back)
	r.has(t, "street", 4)
	r.commit(t, "Add a column that drizzle-kit has applied")
	before = r.records(t)
	job = r.act(t, "push", "migrate-on-merge")
	job.wants(t, "unchanged", strconv.Itoa(len(sandbox.tenants)))
	job.quiet(t)
	servertest.Equal(t, "records in the end", r.records(t), before)
}
