package action

import (
	"bytes"
	"context"
	"os"
	"strings"
	"testing"

	"github.com/org/neon-tenants-action/internal/neon/neontest"
)

// shell does a run as from a shell, with nothing of GitHub's.
func shell(t *testing.T, ctx context.Context, variables map[string]string, args ...string) (log string, err error) {
	t.Helper()
	definition, err := os.ReadFile("../../action.yml")
	if err != nil {
		t.Fatal(err)
	}
	var environ []string
	for name, value := range variables {
		environ = append(environ, name+"="+value)
	}
	var out bytes.Buffer
	err = Run(ctx, Env{
		Definition: definition, Stdout: &out, Args: args, Environ: func() []string { return environ },
		LookupEnv: func(name string) (string, bool) { v, ok := variables[name]; return v, ok },
	})
	return out.String(), err
}

func TestSecretsFromAShell(t *testing.T) {
	f := newFleet(t, named("acme")...)
	args := []string{"--mode", "list-tenants", "--report-file="}
	as := map[string]string{
		"NEON_TENANTS_NEON_API_KEY": neontest.OrgKey, "NEON_TENANTS_NEON_API_URL": f.URL(),
		"NEON_TENANTS_BUNDLE_1": "{}", "NEON_TENANTS_BUNDLE_12": "{}", "NEON_TENANTS_STATE": "x", "PATH": "/bin",
	}
	log, err := shell(t, t.Context(), as, args...)
	if err != nil || !strings.Contains(log, "found 1 tenant") || strings.Contains(log, "argument") ||
		strings.Contains(log, "NEON_TENANTS_") || strings.Contains(log, neontest.OrgKey) {
		t.Errorf("as a variable: %v\n%s", err, log)
	}

	delete(as, "NEON_TENANTS_NEON_API_KEY")
	log, err = shell(t, t.Context(), as, append(args, "--neon-api-key", neontest.OrgKey)...)
	const notice = "neon-api-key was given as an argument, which every process of this machine can read; " +
		"give it as the variable NEON_TENANTS_NEON_API_KEY"
	if err != nil || !strings.Contains(log, "found 1 tenant") || strings.Count(log, notice) != 1 ||
		strings.Contains(log, neontest.OrgKey) {
		t.Errorf("as an argument: %v\n%s", err, log)
	}
}

// A variable that was to say on whom a run works, and whether for real, stops it if its name is wrong.
func TestUnknownVariablesStopTheRun(t *testing.T) {
	f := newFleet(t, named("acme", "globex")...)
	log, err := shell(t, t.Context(), map[string]string{
		"NEON_TENANTS_NEON_API_KEY": neontest.OrgKey, "NEON_TENANTS_NEON_API_URL": f.URL(), "NEON_TENANTS_BUNDLE_1": "{}",
		"NEON_TENANTS_DRYRUN": "true", "NEON_TENANTS_TENANT": "acme", "NEON_TENANTS_NEON_APIKEY": neontest.OrgKey,
	}, "--mode", "list-tenants", "--report-file=")
	for _, want := range []string{
		"3 mistakes in the inputs",
		"variable NEON_TENANTS_DRYRUN: belongs to no input; did you mean NEON_TENANTS_DRY_RUN? Otherwise unset it",
		"variable NEON_TENANTS_TENANT: belongs to no input; did you mean NEON_TENANTS_TENANTS? Otherwise unset it",
		"variable NEON_TENANTS_NEON_APIKEY: belongs to no input; did you mean NEON_TENANTS_NEON_API_KEY? Otherwise unset it",
	} {
		if err == nil || !strings.Contains(log, want) || strings.Contains(log, neontest.OrgKey) ||
			strings.Contains(log, "found") {
			t.Errorf("%v, want %q\n%s", err, want, log)
		}
	}
}

// Every input that holds a secret is told apart from an ordinary one.
func TestEverySecretIsNoArgument(t *testing.T) {
	const url = "postgresql://app:secret@127.0.0.1:1/app"
	secret := map[string]string{
		"neon-api-key": "key", "database-url": url, "catalog-url": url, "restore-url": url, "verify-database-url": url,
		"github-token": "token", "tenant-secrets": `{"ACME_DATABASE_URL": "` + url + `"}`,
		"age-identity": "AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX",
	}
	stopped, cancel := context.WithCancel(t.Context())
	cancel() // a run reads its inputs and ends
	exposed := map[string]bool{}
	for _, run := range [][]string{
		{"--mode=sync-secrets", "--repository=acme/app"}, {"--mode=sync-secrets", "--tenant-source=secrets"},
		{"--mode=migrate", "--tenant-source=schemas"}, {"--mode=health-check", "--tenant-source=catalog"},
		{"--mode=restore", "--tenants=acme"}, {"--mode=backup", "--verify=restore"},
	} {
		for name, value := range secret {
			run = append(run, "--"+name, value)
		}
		log, _ := shell(t, stopped, nil, append(run, "--report-file=", "--s3-bucket=b", "--aws-region=r")...)
		for name := range secret {
			exposed[name] = exposed[name] || strings.Contains(log, name+" was given as an argument")
		}
	}
	for name := range secret {
		if !exposed[name] {
			t.Errorf("%s", name)
		}
	}
}
