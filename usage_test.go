package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/org/neon-tenants-action/internal/action"
	"github.com/org/neon-tenants-action/internal/migration"
	"github.com/org/neon-tenants-action/internal/postgres"
	"github.com/org/neon-tenants-action/internal/records"
)

// trial is what the program says about a set of inputs before its first call.
type trial struct {
	wrong  []string // inputs that it refuses
	unused []string // inputs without effect in this mode with this source
	err    string   // the run's error
}

var (
	wrongInput  = regexp.MustCompile(`(?m)^(?:input |  - )([a-z0-9-]+): `)
	unusedInput = regexp.MustCompile(`^input ([a-z0-9-]+) has no effect `)
	modesInHelp = regexp.MustCompile(`(?m)^Modes: (.*)$`)
)

// try runs the program with these inputs and a cancelled context: it reads them and stops.
func try(t *testing.T, workspace string, inputs map[string]string) trial {
	t.Helper()
	report := filepath.Join(t.TempDir(), "report.json")
	environment := map[string]string{
		"GITHUB_WORKSPACE": workspace, "GITHUB_REPOSITORY": "acme/app",
		"ACTIONS_ID_TOKEN_REQUEST_URL": "http://127.0.0.1:1/", "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "token",
		"GITHUB_ENV": filepath.Join(workspace, "env"), "GITHUB_REF": "refs/pull/7/merge",
	}
	for name, value := range inputs {
		environment["INPUT_"+strings.ToUpper(name)] = value
	}
	environment["INPUT_REPORT-FILE"] = report
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var log bytes.Buffer
	_ = action.Run(ctx, action.Env{
		Definition: definition, Version: "test", Stdout: &log,
		LookupEnv: func(name string) (string, bool) { v, ok := environment[name]; return v, ok },
	})
	var file struct {
		Notices []string
		Error   struct{ Message string }
	}
	data, err := os.ReadFile(report)
	if err == nil {
		err = json.Unmarshal(data, &file)
	}
	if err != nil {
		t.Fatalf("%v\n%s", err, log.String())
	}
	out := trial{err: file.Error.Message}
	for _, m := range wrongInput.FindAllStringSubmatch(file.Error.Message, -1) {
		out.wrong = append(out.wrong, m[1])
	}
	for _, notice := range file.Notices {
		if m := unusedInput.FindStringSubmatch(notice); m != nil {
			out.unused = append(out.unused, m[1])
		}
	}
	return out
}

// modeNames returns the modes that --help lists.
func modeNames(t *testing.T) []string {
	t.Helper()
	var help bytes.Buffer
	err := action.Run(t.Context(), action.Env{
		Definition: definition, Args: []string{"--help"}, Stdout: &help,
		LookupEnv: func(string) (string, bool) { return "", false },
	})
	m := modesInHelp.FindStringSubmatch(help.String())
	if err != nil || m == nil {
		t.Fatalf("%v\n%s", err, help.String())
	}
	return strings.Split(m[1], ", ")
}

const aDatabase = "postgresql://app:secret@127.0.0.1:1/app"

// aReport is that of a run whose id is otherwise's confirm.
const aReport = `{"version": 1, "run_id": "acme", "mode": %q, "source": %q, "tenants": [],
	"started_at": "2026-03-14T09:26:53.589Z", "detail": {"files_sha256": %q, "file_sets": {%[3]q: %s}}}`

// sources are the values of tenant-source.
var sources = []string{"catalog", "neon", "schemas", "secrets"}

// reportOf is the name of the file with the report of a mode's run, or of the run that undo takes back.
func reportOf(mode, source string) string {
	if mode == "undo" {
		mode = "migrate"
	}
	return mode + "-" + source + ".json"
}

// otherwise has a non-default value for every input but mode and tenant-source.
var otherwise = map[string]string{
	"neon-api-key":             "key",
	"neon-org-id":              "org-acme",
	"neon-api-url":             "http://127.0.0.1:1/api/v2",
	"neon-branch":              "dev",
	"neon-requests-per-minute": "100",
	"leave-asleep":             "true",
	"compute-price":            "$0.106",
	"database-name":            "app",
	"role-name":                "app",
	"database-url":             aDatabase,
	"schema-tracker":           "public.tenants",
	"catalog-query":            "select name, url from school",
	"tenant-secrets":           `{"ACME_URL": "` + aDatabase + `"}`,
	"secret-name":              "{TENANT}_URL",

	"tenant-key":  "id",
	"tenants":     "acme",
	"min-tenants": "0",
	"allow-empty": "true",
	"shard":       "1/2",

	"concurrency":    "3",
	"canary":         "1",
	"waves":          "1, 100%",
	"wave-pause":     "1m",
	"max-failures":   "5",
	"tenant-timeout": "1m",
	"dry-run":        "true",
	"allow-insecure": "true",
	"catalog-url":    aDatabase,
	"report-file":    "another.json",
	"report-html":    "page.html",
	"shards":         "2",
	"report-files":   "*.json",

	"migrations-path":        "migrations",
	"migrations-format":      "drizzle",
	"migrations-table":       "versions",
	"strict-order":           "true",
	"lock-timeout":           "1s",
	"statement-lock-timeout": "1s",
	"public-migrations-path": "migrations",
	"create-missing":         "true",
	"baseline":               "1",
	"require-backup-within":  "1h",
	"rehearse":               "all",
	"rehearse-fail-on":       "rewrite>1GB",
	"comment":                "true",
	"undo-point":             "true",
	"undo-keep":              "1d",
	"previous-report":        "migrate-neon.json", // or that of the mode and the source
	"retry-failed":           "true",
	"changed-files":          "fail",

	"s3-bucket":             "backups",
	"s3-prefix":             "tenants",
	"aws-region":            "eu-central-1",
	"role-to-assume":        "arn:aws:iam::123456789012:role/backup",
	"aws-account-id":        "123456789012",
	"iam-role":              "backup",
	"role-session-name":     "session",
	"role-duration-seconds": "900",
	"s3-endpoint":           "https://127.0.0.1:1",
	"s3-path-style":         "true",

	"retention-days":      "1",
	"prune-only":          "true",
	"keep-last":           "2",
	"keep-daily":          "1",
	"keep-weekly":         "1",
	"keep-monthly":        "1",
	"pg-version":          "15",
	"pg-dump-args":        "--no-comments",
	"backup-format":       "custom",
	"compression":         "zstd",
	"compression-level":   "3",
	"age-recipients":      "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p",
	"s3-storage-class":    "STANDARD_IA",
	"s3-kms-key-id":       "key",
	"s3-object-lock-days": "1",
	"skip-unchanged":      "true",
	"max-backup-age":      "1h",
	"verify":              "restore",
	"verify-database-url": aDatabase,
	"sample":              "1",
	"max-proof-age":       "1d",
	"max-size":            "1GB",
	"check-sql":           "select true",

	"backup-key":   "tenants/acme/20261122T031500Z-pg17.sql.gz",
	"restore-url":  aDatabase,
	"restore-into": "branch",
	"overwrite":    "true",

	"restore-to-time": "2020-03-14T09:26:53Z",

	"age-identity": "AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX",

	"tenant-name":     "acme",
	"neon-region":     "aws-eu-central-1",
	"neon-pg-version": "17",
	"neon-settings":   "suspend_timeout_seconds: 300",
	"confirm":         "acme",
	"without-backup":  "true",

	"branch-name":       "dev/alice",
	"branch-expires-in": "7d",
	"export-env":        "true",

	"required-tables":  "users",
	"reference-tenant": "acme",
	"fail-on":          "none",

	"github-token":        "token",
	"secrets-scope":       "environment",
	"repository":          "acme/other",
	"github-environment":  "production",
	"github-organization": "acme",
	"secrets-visibility":  "all",
	"secret-layout":       "bundle",
	"pooled":              "true",
	"prune-secrets":       "true",
	"max-prune":           "3",
	"workflow-file":       "workflow.yml",
}

// variants are inputs to leave out of otherwise, because some contradict others or make them unnecessary. Each input is
// left in by at least one variant.
var variants = [][]string{
	{
		"aws-account-id", "iam-role", "restore-url", "verify", "verify-database-url", "github-organization",
		"without-backup", "shard", "restore-to-time",
	},
	{
		"role-to-assume", "restore-into", "age-recipients", "github-environment", "without-backup", "secret-layout",
		"restore-to-time",
	},
	{"aws-account-id", "iam-role", "restore-url", "age-recipients", "github-environment", "restore-to-time"},
	{"aws-account-id", "iam-role", "restore-url", "restore-into", "age-recipients", "github-environment"},
}

// workspaceFor returns a workspace with the files that the values of otherwise name.
func workspaceFor(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "migrations", "meta"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"migrations/0000_a.sql":         "select 1;",
		"migrations/meta/_journal.json": `{"entries": [{"when": 1, "tag": "0000_a"}]}`,
		"workflow.yml":                  "env:\n  # neon-tenants:begin\n  # neon-tenants:end\n",
		"report.json":                   "{}",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	writeReports(t, dir)
	return dir
}

// writeReports writes a report of every mode with every source.
func writeReports(t *testing.T, dir string) {
	t.Helper()
	files, err := migration.Load(filepath.Join(dir, "migrations"), "migrations", postgres.Drizzle)
	if err != nil {
		t.Fatal(err)
	}
	set := records.Set(files.Digests())
	digests, err := json.Marshal(set)
	if err != nil {
		t.Fatal(err)
	}
	for _, mode := range modeNames(t) {
		for _, source := range sources {
			name := mode + "-" + source + ".json"
			text := fmt.Sprintf(aReport, mode, source, set.Digest(), digests)
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// inputsByMode finds out which inputs each mode reads with any source: those it neither refuses nor reports as without
// effect.
func inputsByMode(t *testing.T, modes []string) map[string]map[string]bool {
	t.Helper()
	workspace := workspaceFor(t)
	for _, f := range declared(t).Inputs {
		if _, ok := otherwise[f.Name]; !ok && f.Name != "mode" && f.Name != "tenant-source" {
			t.Fatalf("%s has no value in otherwise", f.Name)
		}
	}
	used := map[string]map[string]bool{}
	for _, mode := range modes {
		used[mode] = map[string]bool{}
		for _, source := range sources {
			for _, without := range variants {
				inputs := maps.Clone(otherwise)
				inputs["mode"], inputs["tenant-source"] = mode, source
				inputs["previous-report"] = reportOf(mode, source)
				for _, name := range without {
					delete(inputs, name)
				}
				if inputs["github-environment"] == "" {
					inputs["secrets-scope"] = "organization"
				}
				for name := range accepted(t, workspace, inputs) {
					used[mode][name] = true
				}
			}
		}
	}
	return used
}

// accepted removes refused inputs until the program accepts the rest, and returns those that it reads. It returns none
// if the mode refuses the source, or requires an input that was removed.
func accepted(t *testing.T, workspace string, inputs map[string]string) map[string]string {
	t.Helper()
	for {
		got := try(t, workspace, inputs)
		for _, name := range got.wrong {
			if _, given := inputs[name]; !given || name == "tenant-source" {
				return nil
			}
			delete(inputs, name)
		}
		if len(got.wrong) > 0 {
			continue
		}
		for _, name := range got.unused {
			delete(inputs, name)
		}
		for _, f := range declared(t).Inputs { // an input with its default value is never reported as unused
			if inputs[f.Name] == f.Default {
				delete(inputs, f.Name)
			}
		}
		return inputs
	}
}
