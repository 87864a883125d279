package secretsync

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/mode"
	"github.com/org/neon-tenants-action/internal/report"
	"github.com/org/neon-tenants-action/internal/secrets"
)

// Run is what the report file says of a sync as a whole.
type Run struct {
	Scope     string   `json:"scope"`  // "repository acme/app"
	Layout    string   `json:"layout"` // per-tenant or bundle
	Created   int      `json:"created"`
	Updated   int      `json:"updated"`
	Unchanged int      `json:"unchanged"`
	Deleted   []string `json:"deleted"`                 // secrets of tenants that are gone; of a dry run, those that would be deleted
	LeftOut   int      `json:"left_out,omitempty"`      // tenants that are gone and that a bundle holds no more
	LeftOver  []string `json:"left_over,omitempty"`     // what could be deleted, and was not asked for
	LeftAlone []string `json:"left_alone,omitempty"`    // look like a tenant's, and were not written by a sync
	Adopted   []string `json:"adopted,omitempty"`       // were there, written by somebody else, and were written over
	Remember  bool     `json:"remembered"`              // the next run can tell what is unchanged
	Block     string   `json:"workflow_file,omitempty"` // what became of its block
}

// ending words the run as a whole.
func (s *syncer) ending(results []fleet.Result) mode.Ending {
	done := s.writer.journal()
	d := Run{
		Scope: s.scope.String(), Layout: "per-tenant", Deleted: append([]string{}, done.deleted...), LeftOut: s.dropped, Adopted: s.plan.adopted(done.written()),
		Remember: s.writer.state.remembers(), Block: s.block,
	}
	if s.settings.bundled {
		d.Layout = "bundle"
	}
	for _, r := range results {
		switch detail, _ := r.Outcome.Detail.(Detail); detail.Change {
		case created:
			d.Created++
		case updated:
			d.Updated++
		case unchanged:
			d.Unchanged++
		}
	}
	if s.settings.prune {
		d.LeftAlone = s.plan.left.alike
	} else {
		d.LeftOver = s.plan.left.names()
	}
	would := ""
	if s.env.DryRun {
		would = "would be "
	}
	lines := []string{fmt.Sprintf("%s, %s: %s%d created, %d updated, %d unchanged, %d deleted", d.Scope, d.Layout, would, d.Created, d.Updated, d.Unchanged, len(d.Deleted))}
	add := func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }
	if len(d.Deleted) > 0 {
		add("%sdeleted, because it belongs to no tenant%s", would, listing(d.Deleted))
	}
	if len(s.waiting) > 0 {
		add("of the other secret-layout, and not deleted before every tenant has its secret in this one%s", listing(s.waiting))
	}
	if d.LeftOut > 0 {
		add("%d connection strings of tenants that are gone %sleft out of their bundles", d.LeftOut, would)
	}
	if n := len(s.plan.left.members); n > 0 && d.LeftOut == 0 {
		add("%d connection strings in bundles belong to no tenant that was found, and are left where they are", n)
	}
	if len(d.LeftOver) > 0 {
		add("written by an earlier sync and of no tenant now; prune-secrets: true deletes it%s", listing(d.LeftOver))
	}
	if len(d.LeftAlone) > 0 {
		add("looks like a tenant's, was not written by a sync, and is left alone%s", listing(d.LeftAlone))
	}
	if len(d.Adopted) > 0 {
		add("was there, written by somebody else, and %swritten over%s", would, listing(d.Adopted))
	}
	if s.settings.prune && !s.plan.whole {
		add("nothing was pruned: that takes a complete discovery, and all tenants (no tenants:, no shard:)")
	}
	if s.settings.prune && !s.plan.past.known {
		add("nothing was pruned: it is not known what earlier syncs wrote")
	}
	if d.Block != "" {
		lines = append(lines, d.Block)
	}
	if d.Created+d.Updated > 0 && !s.env.DryRun {
		if s.scope.Environment != "" {
			add("jobs of the environment that start from now on see what was written")
		} else {
			add("workflow runs that are queued from now on see what was written; this run does not")
		}
	}
	ending := mode.Ending{Sections: []report.Section{{Title: "Secrets", Lines: lines}}, Detail: d}
	if slices.Sort(s.strays); len(s.strays) > 0 {
		ending.Warnings = []string{"not needed for any tenant, and perhaps out of date, because it is not known which sync wrote it; delete it by hand" + listing(s.strays)}
	}
	return ending
}

// keepWorkflow brings the block of the workflow file in step with the secrets that there are. The file is replaced as a whole
// or not at all, and only where all tenants are known.
func (s *syncer) keepWorkflow(results []fleet.Result) error {
	if s.file == nil {
		return nil
	}
	if !s.plan.whole {
		s.block = fmt.Sprintf("%s is left as it is: its block lists all tenants, and this run did not see all", s.file.name)
		return nil
	}
	text, err := os.ReadFile(s.file.path)
	if err != nil {
		return fmt.Errorf("workflow-file: read %s: %w", s.file.name, err)
	}
	next, added, removed, err := secrets.Rewrite(string(text), s.existing(results))
	switch {
	case err != nil:
		return fmt.Errorf("workflow-file: %s %w", s.file.name, err)
	case next == string(text):
		s.block = s.file.name + " is in step"
		return nil
	}
	if s.env.DryRun {
		s.block = fmt.Sprintf("%s would be rewritten: %d names more, %d less", s.file.name, added, removed)
		return nil
	}
	if err := replaceFile(s.file.path, next); err != nil {
		return fleet.WithRemedy(fmt.Errorf("workflow-file: %w", err), "let the job's user write to the file's directory")
	}
	s.block = fmt.Sprintf("%s was rewritten: %d names more, %d less; commit it, or open a pull request with it", s.file.name, added, removed)
	return nil
}

// existing lists the secrets of this run's tenants that there are now, or would be.
func (s *syncer) existing(results []fleet.Result) []string {
	var names []string
	for _, r := range results {
		d, _ := r.Outcome.Detail.(Detail)
		name := d.Secret
		if name == "" {
			name = s.plan.names[r.Tenant.Key]
		}
		if _, listed := s.plan.listed[name]; name != "" && (d.Change != "" || listed) {
			names = append(names, name)
		}
	}
	if s.settings.bundled { // also of tenants that could not be read this time
		for name := range s.plan.listed {
			if _, ok := secrets.IsBundle(name); ok && s.plan.past.ours(name) && !slices.Contains(s.writer.journal().deleted, name) {
				names = append(names, name)
			}
		}
	}
	return names
}

// replaceFile puts a text in a file's place, with its permissions, in one step.
func replaceFile(path, text string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), "."+strings.TrimPrefix(filepath.Base(path), ".")+".*")
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err == nil {
		err = os.Chmod(f.Name(), info.Mode().Perm())
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
	}
	return err
}
