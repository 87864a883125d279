package health

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/org/neon-tenants-action/internal/backups"
	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/input"
	"github.com/org/neon-tenants-action/internal/mode"
	"github.com/org/neon-tenants-action/internal/postgres"
	"github.com/org/neon-tenants-action/internal/remedies"
	"github.com/org/neon-tenants-action/internal/words"
)

// The values of fail-on.
const (
	onUnreachable = "unreachable"
	onPending     = "pending"
	onTables      = "tables"
	onDrift       = "drift"
	onUnknown     = "unknown-versions"
	onOrphans     = "orphans"
	onBackupAge   = mode.BackupAge
	onProofAge    = mode.ProofAge
	onInvalid     = "invalid"
	onNone        = "none"
)

// checks are the values of fail-on, the gravest first: the pie chart counts a tenant for the first one that found
// something.
var checks = []string{
	onUnreachable, onTables, onPending, onDrift, onInvalid, onUnknown, onBackupAge, onProofAge, onOrphans,
}

func parseFailOn(text string) ([]string, error) {
	list := input.List(text)
	if len(list) == 1 && strings.EqualFold(list[0], onNone) {
		return nil, nil
	}
	for i, name := range list {
		if list[i] = input.Canonical(name, checks); !slices.Contains(checks, list[i]) {
			return nil, fmt.Errorf("%q is none of its values; list some of %s, or write %s",
				name, words.List(checks, 0), onNone)
		}
	}
	return list, nil
}

// problem is one thing that is wrong with a tenant.
type problem struct {
	check  string // the value of fail-on that it falls under
	note   string // a phrase for the table of tenants
	text   string // a sentence for the reader
	remedy string
	err    error // why a check failed; nil if the check itself worked
}

type problems []problem

// unreachable is the problem of a tenant that could not be checked, or not wholly.
func (d *Detail) unreachable(ctx context.Context, err error) problem {
	var locked *lockedError
	if d.Locked = errors.As(err, &locked); d.Locked {
		return problem{onUnreachable, "table locked", err.Error(), remedies.Of(err), err}
	}
	if cause := context.Cause(ctx); cause != nil && !errors.Is(err, cause) { // the tenant's time is over
		err = fmt.Errorf("%w: %w", cause, err)
	}
	return problem{onUnreachable, "not checked", err.Error(), remedies.Of(err), err}
}

// notThere is the problem of a tenant whose schema or database does not exist: the reverse of an orphan.
func notThere(err error) problems {
	if schema := (*postgres.MissingSchemaError)(nil); !errors.As(err, &schema) && !postgres.MissingDatabase(err) {
		return nil
	}
	return problems{{onOrphans, "does not exist", "it is listed, but does not exist", remedies.Of(err), err}}
}

// problems returns what is wrong with the tenant's database. compared is false if there are no migration files to
// compare with.
func (d Detail) problems(compared bool) (found problems) {
	if n := len(d.Pending); n > 0 && compared {
		text := words.Count(n, "migration is", "migrations are") + " pending: " + words.List(d.Pending, 5)
		if k := len(d.OutOfOrder); k > 0 {
			text += fmt.Sprintf("; %d of them below the highest applied version, %s", k, d.Version)
		}
		found = append(found, problem{onPending, fmt.Sprintf("%d pending", n), text, "run mode migrate on it", nil})
	}
	if n := len(d.Skipped); n > 0 && compared {
		text := words.Count(n, "migration is", "migrations are") + " not applied, and skipped for good, because a later " +
			"one is applied: " + words.List(d.Skipped, 5)
		found = append(found, problem{onPending, fmt.Sprintf("%d skipped", n), text, "give each a when above " + d.Version +
			" in meta/_journal.json and move its entry to the end, once it is repeatable (if not exists), because it runs " +
			"again where it is applied; then run mode migrate. If the schema has its work from other files, correct the " +
			"record instead", nil})
	}
	if n := len(d.MissingTables); n > 0 {
		found = append(found, problem{
			check: onTables,
			note:  words.Count(n, "table", "tables") + " missing",
			text: words.Count(n, "required table is", "required tables are") + " missing: " +
				words.List(d.MissingTables, 5),
			remedy: "find out what dropped or renamed it, or remove it from required-tables if it is not needed",
		})
	}
	if n := len(d.Invalid); n > 0 {
		found = append(found, problem{
			check: onInvalid,
			note:  fmt.Sprintf("%d not valid", n),
			text: words.Count(n, "index or constraint is", "indexes and constraints are") + " not valid: " +
				words.List(d.Invalid, 5),
			remedy: "reindex an index, or drop it and create it again; " +
				"alter table … validate constraint checks the rows that were there before a constraint",
		})
	}
	if n := len(d.Unknown); n > 0 {
		found = append(found, problem{
			check: onUnknown,
			note:  words.Count(n, "unknown version", "unknown versions"),
			text: words.Count(n, "recorded version has", "recorded versions have") + " no file: " +
				words.List(d.Unknown, 5),
			remedy: "the tenant was migrated from another branch, or the file was renamed or deleted: restore the " +
				"file, or delete the record",
		})
	}
	return found
}

// addBackup adds the tenant's newest backup that counts to the detail; its key is empty if there is none. It is a
// problem if there is none, or if it began longer than maxAge ago. passed are the newer ones that do not count, or all
// if none counts.
func (d *Detail) addBackup(
	newest backups.Backup, passed []backups.Judged, now time.Time, maxAge time.Duration,
) problems {
	p := problem{check: onBackupAge, remedy: "run mode backup on it, and see why earlier backups failed"}
	d.passed = backups.Passed(passed)
	because := ""
	if d.passed != "" {
		because = "; " + d.passed
	}
	if newest.Key == "" {
		p.note, p.text = "no backup", "it has no verified backup"+because
		return problems{p}
	}
	age := now.Sub(newest.Time)
	seconds := int64(age / time.Second)
	d.NewestBackup, d.BackupAge = newest.Key, &seconds
	if age <= maxAge {
		return nil
	}
	p.note = "backup too old"
	p.text = "its newest verified backup is older than max-backup-age: " + words.Setting(maxAge) + because
	return problems{p}
}

// addProof adds to the detail when a backup of the tenant was last proven to restore; the proof is zero if none ever
// was. It is a problem if none was, or if that was longer than maxAge ago.
func (d *Detail) addProof(proof backups.RestoreProof, now time.Time, maxAge time.Duration) problems {
	const remedy = "run mode verify-backups with a larger sample, and see why earlier drills of it failed"
	if proof.Key == "" {
		return problems{{
			check: onProofAge, note: "never proven", remedy: remedy,
			text: "no backup of it was ever proven to restore",
		}}
	}
	age := now.Sub(proof.FinishedAt)
	seconds := int64(age / time.Second)
	d.ProvenBackup, d.ProofAge = proof.Key, &seconds
	if age <= maxAge {
		return nil
	}
	return problems{{
		check: onProofAge, note: "proof too old", remedy: remedy,
		text: "the proof that a backup of it restores is older than max-proof-age: " + words.Setting(maxAge),
	}}
}

// outcome turns the problems into how the tenant ends: it fails if a check of failOn found one of them.
func (d Detail) outcome(found problems, failOn []string) (fleet.Outcome, error) {
	d.Problems = found.checks()
	failing, tolerated := found.split(failOn)
	o := fleet.Outcome{Note: found.note(), Warnings: tolerated.texts(), Detail: d}
	if d.passed != "" && !slices.Contains(d.Problems, onBackupAge) { // otherwise the problem says so
		o.Warnings = append(o.Warnings, d.passed)
	}
	if len(failing) > 0 {
		return o, &healthError{failing}
	}
	return o, nil
}

// split separates the problems that make the tenant fail from those that are warnings.
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

// join joins the problems' texts, each different one once, without empty ones.
func (p problems) join(text func(problem) string, sep string) string {
	var all []string
	for _, one := range p {
		if s := text(one); s != "" && !slices.Contains(all, s) {
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

const healthyNote = "healthy"

func (p problems) note() string {
	if len(p) == 0 {
		return healthyNote
	}
	return p.join(func(one problem) string { return one.note }, ", ")
}

// healthError is everything that a tenant fails for.
type healthError struct{ problems }

func (e *healthError) Error() string {
	return e.join(func(one problem) string { return one.text }, "; ")
}

// Remedy joins the problems' remedies.
func (e *healthError) Remedy() string {
	return e.join(func(one problem) string { return one.remedy }, "; ")
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
