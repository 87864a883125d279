package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/jackc/pgx/v5"

	"github.com/org/neon-tenants-action/internal/bucket/buckettest"
)

const exampleMigrations = "migrations/example"

// demo shows a fleet's life: migrated, found unchanged, with one tenant that a migration fails on, backed up and restored.
func demo(ctx context.Context, args []string) (err error) {
	flags := flag.NewFlagSet("demo", flag.ContinueOnError)
	program := flags.String("program", "", "the built program; empty: it is built from this checkout")
	if err := flags.Parse(args); err != nil {
		return err
	}
	began := time.Now()
	dir, err := os.MkdirTemp("", "neon-tenants-demo-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()

	title("Starting PostgreSQL, MinIO and a Neon organization with %d projects", len(customers))
	if *program == "" {
		*program = filepath.Join(dir, "neon-tenants-action")
		if out, err := exec.CommandContext(ctx, "go", "build", "-o", *program, ".").CombinedOutput(); err != nil {
			return fmt.Errorf("build the program: %w\n%s", err, out)
		}
	}
	w, err := startWorld(ctx, 0, len(customers))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.stop()) }()
	r := &runner{program: *program, workspace: filepath.Join(dir, "workspace"), temp: dir, environment: w.environment()}
	if err := os.CopyFS(filepath.Join(r.workspace, "db", "migrations"), os.DirFS(exampleMigrations)); err != nil {
		return err
	}
	if err := w.show(ctx, r); err != nil {
		return err
	}
	title("Everything has been as it should, in %s; nothing is left running", time.Since(began).Round(time.Second/10))
	return nil
}

// show takes the fleet through its runs and checks that each ends as it is told.
func (w *world) show(ctx context.Context, r *runner) error {
	title("First run: three migrations on every tenant")
	if _, err := r.step(ctx, step{outputs: []string{"succeeded=6", "failed=0"}}); err != nil {
		return err
	}
	title("Second run: nothing is pending, nothing is changed")
	if _, err := r.step(ctx, step{outputs: []string{"unchanged=6", "succeeded=0"}}); err != nil {
		return err
	}
	if err := w.showFailure(ctx, r); err != nil {
		return err
	}
	if err := w.showBackups(ctx, r); err != nil {
		return err
	}
	if err := w.showHealth(ctx, r); err != nil {
		return err
	}
	if err := w.showSecrets(ctx, r); err != nil {
		return err
	}
	return w.showTenants(ctx, r)
}

// showFailure brings a migration that one tenant's data does not allow.
func (w *world) showFailure(ctx context.Context, r *runner) error {
	title("Third run: a migration comes that the data of one tenant, Finance Co, does not allow")
	const name = "20250201080000_unique_project_names.sql"
	const file = "-- A project's name is unique for its owner.\n\n-- migrate:up\n" +
		"alter table projects add column archived_at timestamptz;\n" +
		"alter table projects add constraint projects_owner_name_key unique (owner_id, name);\n\n" +
		"-- migrate:down\nalter table projects drop constraint projects_owner_name_key;\nalter table projects drop column archived_at;\n"
	if err := os.WriteFile(filepath.Join(r.workspace, "db", "migrations", name), []byte(file), 0o600); err != nil {
		return err
	}
	if err := w.exec(ctx, "Finance Co", "insert into users (email, name) values ('ana@finance.example', 'Ana'); "+
		"insert into projects (owner_id, name) select 1, 'Audit' from generate_series(1, 2)"); err != nil {
		return err
	}
	summary, err := r.step(ctx, step{fails: true, outputs: []string{"succeeded=5", "failed=1", `failed-tenants=["Finance Co"]`}})
	if err != nil {
		return err
	}
	title("What the run's page on GitHub shows of it (Markdown)")
	fmt.Println(summary)

	title("Fourth run, for that tenant alone, after its data was mended")
	if err := w.exec(ctx, "Finance Co", "update projects set name = name || ' ' || id where id = 2"); err != nil {
		return err
	}
	_, err = r.step(ctx, step{inputs: []string{"tenants=Finance Co"}, outputs: []string{"total=1", "succeeded=1"}})
	return err
}

// showBackups backs the fleet up, prunes what is past retention, and restores a tenant.
func (w *world) showBackups(ctx context.Context, r *runner) error {
	title("Every tenant is backed up to MinIO, under a role that is assumed with the job's identity token")
	past := buckettest.BackupKey("finance-co/", time.Now().AddDate(0, 0, -10))
	for _, key := range []string{past, past + ".json"} {
		name := backups
		if _, err := w.store.Client().PutObject(ctx, &s3.PutObjectInput{Bucket: &name, Key: &key, Body: strings.NewReader("of ten days ago")}); err != nil {
			return err
		}
	}
	if _, err := r.step(ctx, step{mode: "backup", outputs: []string{"succeeded=6", "failed=0"}}); err != nil {
		return err
	}
	title("Finance Co's backup is restored into a new project, and its rows are counted")
	_, err := r.step(ctx, step{mode: "restore", inputs: []string{"tenants=Finance Co", "restore-into=new-project"}, outputs: []string{"succeeded=1"}})
	return err
}

func (w *world) exec(ctx context.Context, tenant, sql string) error {
	conn, err := pgx.Connect(ctx, w.projects[tenant].URL)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	_, err = conn.PgConn().Exec(ctx, sql).ReadAll()
	return err
}

// runner starts the program as GitHub's runner starts an action: inputs as variables, files for what it gives back.
type runner struct {
	program, workspace, temp string
	environment              [][2]string
	steps                    int
}

// step is one run of the program, and how it has to end.
type step struct {
	mode    string   // empty: migrate
	inputs  []string // NAME=VALUE
	fails   bool
	outputs []string // NAME=VALUE
}

// step runs the program once, shows its log, and returns its summary.
func (r *runner) step(ctx context.Context, s step) (summary string, err error) {
	r.steps++
	file := func(name string) string { return filepath.Join(r.temp, fmt.Sprintf("%s-%d", name, r.steps)) }
	cmd := exec.CommandContext(ctx, r.program)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	cmd.Dir = r.workspace
	log := &view{out: os.Stdout}
	cmd.Stdout, cmd.Stderr = log, os.Stderr
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + r.temp, "CI=true", "GITHUB_ACTIONS=true",
		"GITHUB_WORKSPACE=" + r.workspace, "GITHUB_OUTPUT=" + file("output"), "GITHUB_STEP_SUMMARY=" + file("summary"),
	}
	inputs := append([]string{"mode=" + cmp.Or(s.mode, "migrate")}, s.inputs...)
	stores := s.mode != "" && s.mode != "create-tenant" && s.mode != "sync-secrets" // a backup
	for _, e := range r.environment {
		cmd.Env = append(cmd.Env, e[0]+"="+e[1])
		if name, ok := map[string]string{
			"NEON_API_URL": "neon-api-url", "NEON_API_KEY": "neon-api-key", "S3_ENDPOINT": "s3-endpoint", "S3_BUCKET": "s3-bucket", "ROLE_TO_ASSUME": "role-to-assume",
		}[e[0]]; ok && (stores || strings.HasPrefix(name, "neon-")) {
			inputs = append(inputs, name+"="+e[1])
		}
	}
	if stores {
		inputs = append(inputs, "s3-path-style=true")
	}
	for _, i := range inputs {
		name, value, _ := strings.Cut(i, "=")
		cmd.Env = append(cmd.Env, "INPUT_"+strings.ToUpper(name)+"="+value)
	}
	if err := cmd.Run(); (err != nil) != s.fails {
		return "", fmt.Errorf("the program ended with %v, which is not what was to be shown", cmd.ProcessState)
	}
	given, err := os.ReadFile(file("output"))
	if err != nil {
		return "", err
	}
	for _, want := range s.outputs {
		name, value, _ := strings.Cut(want, "=")
		if !strings.Contains(string(given), name+"<<") || !strings.Contains(string(given), "\n"+value+"\n") {
			return "", fmt.Errorf("output %s is not %s:\n%s", name, value, given)
		}
	}
	fmt.Printf("Outputs: %s. Masked in the log: %d texts.\n", strings.Join(s.outputs, ", "), len(log.masks))
	text, err := os.ReadFile(file("summary"))
	return string(text), err
}

func title(format string, args ...any) {
	fmt.Printf("\n── "+format+"\n\n", args...)
}
