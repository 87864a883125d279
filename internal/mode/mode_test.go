package mode

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/org/neon-tenants-action/internal/input"
	"github.com/org/neon-tenants-action/internal/migration"
	"github.com/org/neon-tenants-action/internal/postgres"
)

func TestMigrateOutcome(t *testing.T) {
	applied := []migration.Applied{{Version: "2", File: "2_b.sql", Elapsed: 1500 * time.Microsecond}}
	for name, c := range map[string]struct {
		m              migration.Result
		dryRun, failed bool
		note           string
		unchanged      bool
		warnings       int
	}{
		"nothing to do":      {m: migration.Result{Before: "2", After: "2"}, unchanged: true},
		"applied":            {m: migration.Result{Applied: applied}, note: "1 applied"},
		"dry run":            {m: migration.Result{Pending: []string{"2_b.sql", "3_c.sql"}}, dryRun: true, note: "2 pending"},
		"dry run, nothing":   {m: migration.Result{}, dryRun: true, unchanged: true},
		"failed halfway":     {m: migration.Result{Applied: applied, Pending: []string{"3_c.sql"}}, failed: true, note: "1 applied, 1 not"},
		"out of order":       {m: migration.Result{Before: "9", Applied: applied, OutOfOrder: []string{"2_b.sql"}}, note: "1 applied", warnings: 1},
		"its own warnings":   {m: migration.Result{Applied: applied, Warnings: []string{"x"}}, note: "1 applied", warnings: 1},
		"refused, not moved": {m: migration.Result{Pending: []string{"2_b.sql"}, OutOfOrder: []string{"2_b.sql"}}, failed: true, note: "0 applied, 1 not"},
	} {
		o := migrateOutcome(c.m, c.dryRun, c.failed)
		if o.Note != c.note || o.Unchanged != c.unchanged || len(o.Warnings) != c.warnings {
			t.Errorf("%s: got %+v", name, o)
		}
	}
}

func TestCompareRows(t *testing.T) {
	dumped := []postgres.TableRows{{Table: "public.a", Rows: 2}, {Table: "public.b", Rows: 0}}
	for name, c := range map[string]struct {
		restored []postgres.TableRows
		ok       bool
	}{
		"the same":         {dumped, true},
		"more tables":      {append([]postgres.TableRows{{Table: "public.empty", Rows: 0}}, dumped...), true}, // of a dump that left data out
		"cannot be seen":   {[]postgres.TableRows{{Table: "public.a", Rows: -1}, {Table: "public.b"}}, true},
		"a row is missing": {[]postgres.TableRows{{Table: "public.a", Rows: 1}, {Table: "public.b"}}, false},
		"a table is":       {dumped[:1], false},
	} {
		if err := compareRows(dumped, c.restored); (err == nil) != c.ok {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestRole(t *testing.T) {
	def, err := input.ParseDefinition([]byte("inputs:\n  role-to-assume: {description: x}\n  aws-account-id: {description: x}\n  iam-role: {description: x}\n"))
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		arn, account, role, want string
		mistakes                 int
	}{
		"none":            {},
		"by ARN":          {arn: "arn:aws:iam::123456789012:role/a/b", want: "arn:aws:iam::123456789012:role/a/b"},
		"another store's": {arn: "arn:minio:iam:::role/x", want: "arn:minio:iam:::role/x"},
		"China":           {arn: "arn:aws-cn:iam::123456789012:role/x", want: "arn:aws-cn:iam::123456789012:role/x"},
		"by name":         {account: "123456789012", role: "backup", want: "arn:aws:iam::123456789012:role/backup"},
		"both":            {arn: "arn:aws:iam::123456789012:role/a", account: "123456789012", mistakes: 1},
		"a user's ARN":    {arn: "arn:aws:iam::123456789012:user/a", mistakes: 1},
		"no name":         {account: "123456789012", mistakes: 1},
		"no account":      {role: "backup", mistakes: 1},
	} {
		values := map[string]string{"INPUT_ROLE-TO-ASSUME": c.arn, "INPUT_AWS-ACCOUNT-ID": c.account, "INPUT_IAM-ROLE": c.role}
		in, err := input.New(def, nil, func(name string) (string, bool) { v, ok := values[name]; return v, ok })
		if err != nil {
			t.Fatal(err)
		}
		got := role(in)
		var mistakes []string
		if e, ok := in.Err().(*input.Error); ok { //nolint:errorlint // Err returns this very type
			mistakes = e.Mistakes
		}
		if len(mistakes) != c.mistakes || (c.mistakes == 0 && cmp.Diff(c.want, got) != "") {
			t.Errorf("%s: got %q, %v", name, got, mistakes)
		}
	}
}

func TestUnknownModeListsTheModes(t *testing.T) {
	want := `"migrat" is not a mode; the modes are ` + strings.Join(Names(), ", ")
	if _, err := For("migrat"); err == nil || err.Error() != want || !strings.Contains(want, "backup, ") {
		t.Errorf("got %v", err)
	}
}
