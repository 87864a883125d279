package health

import (
	"fmt"
	"slices"
	"strings"

	"github.com/org/neon-tenants-action/internal/input"
	"github.com/org/neon-tenants-action/internal/words"
)

// problems words what a tenant's own database says. compared is false where there were no files to compare with.
func (d Detail) problems(compared bool) (found problems) {
	if n := len(d.Pending); n > 0 && compared {
		text := words.Count(n, "migration is", "migrations are") + " pending: " + words.List(d.Pending, 5)
		if k := len(d.OutOfOrder); k > 0 {
			text += fmt.Sprintf("; %d of them below the highest version, %s", k, d.Version)
		}
		found = append(found, problem{onPending, fmt.Sprintf("%d pending", n), text, "run mode migrate on it", nil})
	}
	if n := len(d.MissingTables); n > 0 {
		found = append(found, problem{onTables, words.Count(n, "table", "tables") + " missing", words.Count(n, "required table is", "required tables are") + " missing: " + words.List(d.MissingTables, 5),
			"see what dropped or renamed it; correct required-tables where it is not needed", nil})
	}
	if n := len(d.Unknown); n > 0 {
		found = append(found, problem{onUnknown, words.Count(n, "unknown version", "unknown versions"), words.Count(n, "recorded version has", "recorded versions have") + " no file: " + words.List(d.Unknown, 5),
			"it was migrated from another branch, or the file was renamed or deleted: bring it back, or delete the record", nil})
	}
	return found
}

// What fail-on may name.
const (
	onUnreachable = "unreachable"
	onPending     = "pending"
	onTables      = "tables"
	onDrift       = "drift"
	onUnknown     = "unknown-versions"
	onOrphans     = "orphans"
	onBackupAge   = "backup-age"
	onNone        = "none"
)

// checks are in the order in which a tenant's first one colours the picture.
var checks = []string{onUnreachable, onTables, onPending, onDrift, onUnknown, onBackupAge, onOrphans}

func parseFailOn(text string) ([]string, error) {
	list := input.List(text)
	if slices.Equal(list, []string{onNone}) {
		return nil, nil
	}
	for _, name := range list {
		if !slices.Contains(checks, name) {
			return nil, fmt.Errorf("%q is none of its values; list some of %s, or write %s", name, strings.Join(checks, ", "), onNone)
		}
	}
	return list, nil
}

// problem is one thing that is wrong with a tenant.
type problem struct {
	check  string // by which it was found: a value of fail-on
	note   string // for the table
	text   string
	remedy string
	err    error // nil where nothing went wrong but the tenant
}

type problems []problem

// split parts those that make the tenant fail from those that are only told.
func (p problems) split(failOn []string) (failing, tolerated problems) {
	for _, one := range p {
		if slices.Contains(failOn, one.check) {
			failing = append(failing, one)
		} else {
			tolerated = append(tolerated, one)
		}
	}
	return failing, tolerated
}

func (p problems) each(say func(problem) string, sep string) string {
	var all []string
	for _, one := range p {
		if s := say(one); s != "" && !slices.Contains(all, s) {
			all = append(all, s)
		}
	}
	return strings.Join(all, sep)
}

func (p problems) checks() []string {
	names := []string{}
	for _, one := range p {
		names = append(names, one.check)
	}
	return names
}

func (p problems) texts() (texts []string) {
	for _, one := range p {
		texts = append(texts, one.text)
	}
	return texts
}

func (p problems) note() string {
	if len(p) == 0 {
		return "healthy"
	}
	return p.each(func(one problem) string { return one.note }, ", ")
}

// healthError is all that a tenant fails for.
type healthError struct{ problems }

func (e *healthError) Error() string {
	return e.each(func(one problem) string { return one.text }, "; ")
}

// Remedy joins the problems' own.
func (e *healthError) Remedy() string {
	return e.each(func(one problem) string { return one.remedy }, "; ")
}

func (e *healthError) Unwrap() []error {
	var all []error
	for _, one := range e.problems {
		if one.err != nil {
			all = append(all, one.err)
		}
	}
	return all
}
