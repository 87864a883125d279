//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// act runs a user's repository, set up as the examples say. It resolves `uses: org/neon-tenants-action@v1` to this
// checkout, and finds the image under the name that it would give it when building.
const actImage = "act-org-neon-tenants-action-v1-dockeraction:latest"

// TestMigrateOnMerge migrates a fleet twice, and then tries again what is left of the last run: nothing.
func TestMigrateOnMerge(t *testing.T) {
	sandbox := startSandbox(t)
	artifacts, _ := actArtifacts(t)
	repository := newRepository(t, "migrate-on-merge.yml")
	total := strconv.Itoa(len(sandbox.tenants))

	job := runAct(t, sandbox, repository, "push", artifacts...)
	job.wants(t, "total", total)
	job.wants(t, "succeeded", total)
	job.wants(t, "failed-tenants", "[]")

	job = runAct(t, sandbox, repository, "push", artifacts...)
	job.wants(t, "unchanged", total)
	if want := total + " tenants left asleep"; !strings.Contains(job.log, want) {
		t.Errorf("the second run did not say %q", want)
	}
	if want := "0 migrated, " + total + " had nothing to do"; !strings.Contains(job.log, want) {
		t.Errorf("the workflow's last step did not say %q", want)
	}

	repository = newRepository(t, "retry-failed.yml")
	job = runAct(t, sandbox, repository, "workflow_dispatch", append(artifacts, "--bind", "--input", "run-id=1")...)
	job.wants(t, "total", "0")
	if want := "0 tried again, failed - 0"; !strings.Contains(job.log, want) {
		t.Errorf("the workflow's last step did not say %q", want)
	}
}

func TestMigrateByHand(t *testing.T) {
	sandbox := startSandbox(t)
	repository := newRepository(t, "migrate-by-hand.yml")
	chosen, other := sandbox.tenants[0], sandbox.tenants[1]
	const migrated = "select to_regclass('schema_migrations') is not null"

	t.Log("with the form's defaults: a dry run over all tenants")
	job := runAct(t, sandbox, repository, "workflow_dispatch")
	job.wants(t, "total", strconv.Itoa(len(sandbox.tenants)))
	job.wants(t, "failed", "0")
	for _, tenant := range sandbox.tenants {
		if query[bool](t, tenant, migrated) {
			t.Errorf("the dry run changed %s", tenant.name)
		}
	}

	t.Log("for one tenant, by its id")
	job = runAct(t, sandbox, repository, "workflow_dispatch",
		"--input", "dry-run=false", "--input", "tenants="+chosen.id, "--input", "canary=", "--input", "max-failures=1")
	job.wants(t, "total", "1")
	job.wants(t, "succeeded", "1")
	if !query[bool](t, chosen, migrated) || query[bool](t, other, migrated) {
		t.Errorf("want %s migrated and %s not", chosen.name, other.name)
	}
}

// TestBackupExamples backs up a fleet every night and one tenant on a schedule of its own, and restores a backup by
// hand.
func TestBackupExamples(t *testing.T) {
	sandbox := startSandbox(t)
	store := sandbox.store(t)
	fingerprint := sandbox.fill(t)
	total := strconv.Itoa(len(sandbox.tenants))
	run := func(example, event string, args ...string) outcome {
		t.Helper()
		repository := newRepository(t, example)
		// Bound, because act copies the repository only in a checkout step, which these workflows don't have.
		return runAct(t, sandbox, repository, event, append(append(actStore(t, sandbox, repository), "--bind"),
			args...)...)
	}

	t.Log("the nightly backup")
	job := run("backup-nightly.yml", "schedule")
	job.wants(t, "total", total)
	job.wants(t, "succeeded", total)
	if want := total + " backed up, 0 left alone, failed - 0"; !strings.Contains(job.log, want) {
		t.Errorf("the workflow's last step did not say %q", want)
	}
	nightly := map[string]string{}
	for _, tenant := range sandbox.tenants {
		keys := store.under(t, "tenants/"+folder(tenant))
		if len(keys) != 2 {
			t.Fatalf("%s has %v, want a backup and its manifest", tenant.name, keys)
		}
		nightly[tenant.name] = keys[0]
		store.wantBackup(t, tenant, keys[0])
	}

	t.Log("one tenant's own")
	job = run("backup-one-tenant.yml", "schedule")
	job.wants(t, "total", "1")
	acme := sandbox.named(t, "ACME Corp")
	key := job.outputs["backup-key"]
	store.wantBackup(t, acme, key)
	if own := store.under(t, "contracts/"); len(own) != 2 || own[0] != key ||
		!strings.HasPrefix(key, "contracts/acme-corp/") {
		t.Errorf("the bucket has %v of the tenant's own, the output is %q", own, key)
	}
	if !strings.Contains(job.log, "The backup is "+key) {
		t.Error("the workflow's last step did not say where the backup is")
	}

	t.Log("a restore drill")
	repository := newRepository(t, "restore-drill.yml")
	onSandbox(t, sandbox, filepath.Join(repository, ".github", "workflows", "restore-drill.yml"))
	job = runAct(t, sandbox, repository, "schedule", append(actStore(t, sandbox, repository), "--bind")...)
	job.wants(t, "total", total)
	job.wants(t, "succeeded", "1")
	if age, err := strconv.Atoi(job.outputs["oldest-proof-age"]); err != nil || age < 0 {
		t.Errorf("oldest-proof-age is %q", job.outputs["oldest-proof-age"])
	}
	age := "The oldest proof is " + job.outputs["oldest-proof-age"] + " seconds old"
	if !strings.Contains(job.log, age) {
		t.Errorf("the workflow's last step did not say %q", age)
	}
	proofs := slices.DeleteFunc(store.under(t, "tenants/"), func(key string) bool {
		return !strings.HasSuffix(key, ".proof.json")
	})
	if len(proofs) != 1 {
		t.Errorf("want one proof, the bucket has %v", proofs)
	}

	t.Log("a restore with the form's defaults: a dry run")
	projects := sandbox.projects(t)
	job = run("restore-by-hand.yml", "workflow_dispatch", "--input", "tenant="+acme.name)
	job.wants(t, "backup-key", nightly[acme.name])
	if !strings.Contains(job.log, "is whole") || sandbox.projects(t) != projects {
		t.Errorf("want the backup read and nothing created; there were %d projects, now %d", projects,
			sandbox.projects(t))
	}

	t.Log("a restore of a named backup into a new project")
	job = run("restore-by-hand.yml", "workflow_dispatch",
		"--input", "tenant="+acme.id, "--input", "backup-key="+nightly[acme.name],
		"--input", "restore-into=new-project", "--input", "dry-run=false")
	job.wants(t, "succeeded", "1")
	made := regexp.MustCompile(`into new project [^(]*\((\S+)\)`).FindStringSubmatch(job.log)
	if made == nil {
		t.Fatal("the log does not name the new project")
	}
	target := tenant{made[1], "the new project", sandbox.uri(t, made[1])}
	target.wake(t)
	target.uri = sandbox.uri(t, target.id)
	if has, had := query[string](t, target, fingerprint), query[string](t, acme, fingerprint); has != had {
		t.Errorf("restored is %s, backed up was %s", has, had)
	}
}

var services = regexp.MustCompile(`(?s)    services:\n.*?(    steps:\n)`)

// onSandbox has a drill's workflow use the sandbox's server in place of its service: act gives a job with services a
// network of its own, from which the sandbox's bucket cannot be reached.
func onSandbox(t *testing.T, sandbox *sandbox, workflow string) {
	t.Helper()
	text, err := os.ReadFile(workflow)
	if err != nil {
		t.Fatal(err)
	}
	const service = "postgresql://postgres:only-for-this-job@postgres:5432/postgres?sslmode=disable"
	if !services.Match(text) || !strings.Contains(string(text), service) {
		t.Fatalf("the workflow has no service:\n%s", text)
	}
	text = services.ReplaceAll(text, []byte("$1"))
	text = []byte(strings.Replace(string(text), service, strconv.Quote(sandbox.environment["RESTORE_URL"]), 1))
	if err := os.WriteFile(workflow, text, 0o644); err != nil {
		t.Fatal(err)
	}
}

// actStore returns the options that give the workflows the sandbox's bucket: variables as a user sets them, and what
// the runner and AWS would provide.
func actStore(t *testing.T, sandbox *sandbox, repository string) []string {
	t.Helper()
	var options []string
	for variable, name := range map[string]string{
		"BACKUP_BUCKET": "S3_BUCKET", "AWS_REGION": "AWS_REGION", "AWS_BACKUP_ROLE": "ROLE_TO_ASSUME",
		"S3_ENDPOINT": "S3_ENDPOINT",
	} {
		options = append(options, "--var", variable+"="+sandbox.environment[name])
	}
	for _, variable := range sandbox.env(t, repository, repository) { // act has the workspace where the repository is
		options = append(options, "--env", variable)
	}
	return options
}

// newRepository creates a user's repository: an example as its workflow, the example migrations, one commit on main.
func newRepository(t *testing.T, example string) string {
	t.Helper()
	dir := newWorkspace(t, nil)
	workflows := filepath.Join(dir, ".github", "workflows")
	if err := os.MkdirAll(workflows, 0o755); err != nil {
		t.Fatal(err)
	}
	workflow, err := os.ReadFile(filepath.Join(root, "examples", example))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(workflows, example), workflow, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"init", "--quiet", "--initial-branch", "main"},
		{"add", "."},
		{"-c", "user.name=Tester", "-c", "user.email=tester@example.com", "commit", "--quiet", "--message", "Begin"},
	} {
		if out, err := exec.Command("git", append([]string{"-C", dir}, args...)...).CombinedOutput(); err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
	}
	return dir
}

// giveBack makes a folder this user's own again at the end of a test, so that it can be removed: a job's steps are
// root, and the folders that they make in it are root's.
func giveBack(t *testing.T, folder string) {
	t.Helper()
	t.Cleanup(func() {
		user := fmt.Sprintf("%d:%d", os.Getuid(), os.Getgid())
		if out, err := exec.Command("docker", "run", "--rm", "--network", "none", "--volume", folder+":/folder",
			"debian:trixie-slim", "chown", "--recursive", user, "/folder").CombinedOutput(); err != nil {
			t.Errorf("give %s back: %v\n%s", folder, err, out)
		}
	})
}

var workflowName = regexp.MustCompile(`(?m)\Aname: .*|\nname: .*`)

// nameApart gives a repository's workflows names of this process's own: act names its containers by them, and removes
// those of its name that it finds, which may be another process's.
func nameApart(t *testing.T, repository string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(repository, ".github", "workflows", "*.yml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(text), nameMark()) {
			continue
		}
		text = workflowName.ReplaceAll(text, []byte("${0}"+nameMark()))
		if err := os.WriteFile(file, text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func nameMark() string { return fmt.Sprintf(" (%d)", os.Getpid()) }

var actOutput = regexp.MustCompile(`(?m)::set-output:: ([\w-]+)=(.*)$`)

// runAct runs the repository's workflow, which must succeed, and returns its log and its steps' outputs.
func runAct(t *testing.T, sandbox *sandbox, repository, event string, args ...string) outcome {
	t.Helper()
	if out, err := exec.Command("docker", "tag", environment(t, "E2E_IMAGE"), actImage).CombinedOutput(); err != nil {
		t.Fatalf("docker tag: %v\n%s", err, out)
	}
	checkout, err := filepath.Abs(root)
	if err != nil {
		t.Fatal(err)
	}
	job := act(t, repository, []string{"NEON_API_KEY=" + sandbox.apiKey}, append([]string{
		event,
		"--platform", "ubuntu-latest=debian:trixie-slim",
		"--local-repository", "org/neon-tenants-action@v1=" + checkout,
		"--secret", "NEON_API_KEY", // its value is in the environment
		"--var", "NEON_API_URL=" + sandbox.apiURL,
		"--var", "NEON_ORG_ID=" + sandbox.orgID,
	}, args...)...)
	// act masks as the runner does, so nothing at all may show here.
	for _, secret := range sandbox.secrets(t) {
		if strings.Contains(job.log, secret) {
			t.Errorf("act's log shows %q", secret)
		}
	}
	return job
}

// act runs a workflow, which must succeed, with more variables in act's own environment.
func act(t *testing.T, repository string, variables []string, args ...string) outcome {
	t.Helper()
	nameApart(t, repository)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	home := t.TempDir()
	cmd := exec.CommandContext(ctx, environment(t, "E2E_ACT"), append(args,
		"--rm", "--pull=false", "--rebuild=false", "--action-offline-mode", "--no-cache-server",
		"--action-cache-path", filepath.Join(home, "cache"))...)
	cmd.Dir = repository
	cmd.Env = append(surroundings(), "HOME="+home, "XDG_CONFIG_HOME="+home, "XDG_CACHE_HOME="+home)
	cmd.Env = append(cmd.Env, variables...)
	if slices.Contains(args, "--bind") {
		giveBack(t, repository)
	}
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // act then removes its containers
	cmd.WaitDelay = 30 * time.Second
	out, err := cmd.CombinedOutput()
	job := outcome{log: string(out), outputs: map[string]string{}}
	if err != nil || !strings.Contains(job.log, "Job succeeded") {
		t.Fatalf("act %s: %v\n%s", args[0], err, job.log)
	}
	for _, m := range actOutput.FindAllStringSubmatch(job.log, -1) {
		job.outputs[m[1]] = strings.TrimSpace(m[2])
	}
	return job
}
