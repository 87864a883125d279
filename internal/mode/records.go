package mode

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/input"
	"github.com/org/neon-tenants-action/internal/records"
	"github.com/org/neon-tenants-action/internal/report"
)

// Records are those that a run starts from: what earlier runs found out about tenants, from their report files and from
// the catalog. What cannot be read is not known, which is said and costs no tenant its result.
type Records struct {
	env   Env
	files []input.File
	given bool // there is somewhere to read from
	book  records.Book
}

// ReadRecords reads the inputs that say where records are. A glob for report files that matches nothing is no mistake:
// a first run has none.
func ReadRecords(in *input.Reader, env Env) *Records {
	return &Records{
		env: env, files: in.FilesIfAny("previous-report"),
		given: in.String("previous-report") != "" || env.Remembered != nil,
	}
}

// Remembered are the records of the catalog only, for a mode that takes no report files.
func Remembered(env Env) *Records {
	return &Records{env: env, given: env.Remembered != nil}
}

// Given reports whether there is anywhere to read records from.
func (r *Records) Given() bool { return r.given }

// Book returns the records. [Records.Load] fills it.
func (r *Records) Book() *records.Book { return &r.book }

// Load reads the records of the tenants to work on.
func (r *Records) Load(ctx context.Context, found Found) {
	for _, f := range r.files {
		if err := r.read(f); err != nil {
			r.env.Notice(fmt.Sprintf("previous-report: nothing is known from a file: %v", err))
		}
	}
	if r.env.Remembered == nil {
		return
	}
	if err := r.env.Remembered(ctx, found.Tenants, &r.book); err != nil {
		r.env.Notice(fmt.Sprintf("nothing is known from the catalog of catalog-url: %v", err))
	}
}

// read adds what a report file says. Of its tenants only what counts is in memory.
func (r *Records) read(f input.File) error {
	var found []seen
	file, err := ReadTenants(f, func(t report.TenantEntry) error {
		found = append(found, seenIn(t))
		return nil
	})
	if err != nil {
		return err
	}
	filesOf(file.File, &r.book)
	if file.DryRun || leaves[file.Mode] {
		return nil
	}
	for _, n := range found {
		ended := cmp.Or(n.ended, file.StartedAt)
		switch {
		case !n.known:
		case branches[file.Mode]:
			if n.branch != "" {
				r.book.Replaced(n.id, n.branch, ended)
			}
		case n.record.Known():
			r.book.Note(n.id, n.record, file.StartedAt)
		default: // what another run saw while this one was at work is no more
			r.book.Note(n.id, n.record, ended)
		}
	}
	return nil
}

// seen is what a tenant's entry in a report says.
type seen struct {
	id     string
	record records.Record
	known  bool      // the entry says something of the tenant, be it that nothing is known any more
	branch string    // that a run of such a mode may have replaced; empty if it did not
	ended  time.Time // when the run was done with the tenant; zero if it was not started
}

// seenIn returns what an entry says. One without a record, of a run that may have changed the tenant, says that nothing
// is known of it any more.
func seenIn(t report.TenantEntry) seen {
	s := seen{id: t.ID}
	if t.State == fleet.Skipped {
		return s
	}
	var d struct {
		Record   *records.Record `json:"record"`
		Problems []string        `json:"problems"` // of a health check
		Name     string          `json:"name"`     // of a branch
	}
	if json.Unmarshal(t.Detail, &d) == nil {
		if d.Record != nil {
			s.record = *d.Record
		}
		if t.State != fleet.Unchanged {
			s.branch = d.Name
		}
	}
	s.known = true
	if t.State == fleet.Failed && !LacksBackup(d.Problems) {
		s.record = records.Record{Place: s.record.Place, Applied: s.record.Applied}
	}
	if !t.StartedAt.IsZero() {
		s.ended = t.StartedAt.Add(time.Duration(t.ElapsedMS) * time.Millisecond)
	}
	return s
}

// filesOf adds the sets of migration files in a report to a book, and returns those that its runs had.
func filesOf(f report.File, book *records.Book) (had []records.Set) {
	for _, detail := range runDetails(f) {
		var d struct {
			Files string       `json:"files_sha256"`
			Sets  records.Sets `json:"file_sets"`
		}
		if json.Unmarshal(detail, &d) != nil { // another mode's detail may be anything
			continue
		}
		book.NoteSets(d.Sets)
		if set := book.Set(d.Files); set != nil {
			had = append(had, set)
		}
	}
	return had
}

// runDetails are the details of a report's run, or of those that it was merged from.
func runDetails(f report.File) []json.RawMessage {
	details := []json.RawMessage{f.Detail}
	for _, m := range f.Merged {
		details = append(details, m.Detail)
	}
	return details
}

// leaves are the modes that never change a database of a tenant, and so leave what is known of it.
var leaves = map[string]bool{"backup": true, "sync-secrets": true, "list-tenants": true, "verify-backups": true}

// branches are the modes that leave a tenant's own database too, and replace the contents of a branch, which another
// run may have recorded.
var branches = map[string]bool{"create-branches": true, "reset-branches": true, "delete-branches": true}

// BackupAge and ProofAge are the names of a health check's problems that are none of the tenant's database.
const (
	BackupAge = "backup-age"
	ProofAge  = "proof-age"
)

// LacksBackup reports whether the age of a tenant's backup, or of its proof, is all that a health check found wrong
// with it: its database stays as its record says, and waking it would make it no backup.
func LacksBackup(problems []string) bool {
	other := func(problem string) bool { return problem != BackupAge && problem != ProofAge }
	return len(problems) > 0 && !slices.ContainsFunc(problems, other)
}
