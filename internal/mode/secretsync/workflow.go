package secretsync

import (
	"errors"
	"fmt"
	"slices"

	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/input"
	"github.com/org/neon-tenants-action/internal/remedies"
	"github.com/org/neon-tenants-action/internal/secrets"
	"github.com/org/neon-tenants-action/internal/workspace"
)

// workflowFile is a workflow file whose list of secrets is kept up to date.
type workflowFile struct {
	file workspace.File
	name string
}

// readWorkflowFile reads the input, and makes sure that the file has its markers; nil without a file.
func readWorkflowFile(in *input.Reader) *workflowFile {
	f := &workflowFile{in.File("workflow-file"), in.String("workflow-file")}
	if f.file.Zero() {
		return nil
	}
	text, err := f.file.Read()
	switch {
	case errors.Is(err, workspace.ErrOutside):
		in.Mistake("workflow-file", "%q is behind a link, and %v; name the file itself", f.name, err)
		return nil
	case err != nil:
		in.Mistake("workflow-file", "%q cannot be read from the workspace; "+
			"add a step that uses actions/checkout before this one, or correct the path", f.name)
		return nil
	}
	if _, _, _, err := secrets.Rewrite(string(text), nil); err != nil {
		in.Mistake("workflow-file", "%q %s", f.name, remedies.Sentence(err))
		return nil
	}
	return f
}

// update puts the secrets that exist now into the file, and says what became of it. The file is replaced as a whole or
// not at all, and only if all tenants are known.
func (f *workflowFile) update(p *plan, c conclusion, dryRun bool) (string, error) {
	if !p.whole {
		return f.name + " is left as it is: it lists all tenants, and this run did not see them all", nil
	}
	text, err := f.file.Read()
	if err != nil {
		return "", fmt.Errorf("workflow-file: read %s: %w", f.name, err)
	}
	next, added, removed, err := secrets.Rewrite(string(text), p.existing(c))
	switch {
	case err != nil:
		return "", fmt.Errorf("workflow-file: %s %w", f.name, err)
	case next == string(text):
		return f.name + " is up to date", nil
	case dryRun:
		return fmt.Sprintf("%s would be rewritten: %d added, %d removed", f.name, added, removed), nil
	}
	if err := f.file.Write([]byte(next)); err != nil {
		return "", fleet.WithRemedy(fmt.Errorf("workflow-file: %w", err),
			"let the job's user write to the file's directory")
	}
	return fmt.Sprintf("%s was rewritten: %d added, %d removed; commit it, or open a pull request with it",
		f.name, added, removed), nil
}

// existing lists the secrets with this run's tenants that exist at its end, or in a dry run would.
func (p *plan) existing(c conclusion) (names []string) {
	for _, r := range c.results {
		d, _ := r.Outcome.Detail.(Detail)
		name := d.Secret
		if name == "" {
			name = p.names[r.Tenant.Key]
		}
		if _, listed := p.listed[name]; name != "" && (d.Change != "" || listed) {
			names = append(names, name)
		}
	}
	if p.bundled { // also those of tenants that could not be read this time
		for _, name := range p.bundles {
			if p.past.ours(name) && !slices.Contains(c.done.deleted, name) {
				names = append(names, name)
			}
		}
	}
	return names
}
