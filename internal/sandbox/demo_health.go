package main

import (
	"context"
	"fmt"
)

// showHealth has the fleet checked, then changes one tenant by hand and has it found.
func (w *world) showHealth(ctx context.Context, r *runner) error {
	title("The fleet's health: everybody is there, migrated, and has the same schema")
	check := []string{"required-tables=users, projects, tasks"}
	if _, err := r.step(ctx, step{mode: "health-check", inputs: check, outputs: []string{"failed=0"}}); err != nil {
		return err
	}
	title("Somebody adds a column to Globex by hand, and drops an index")
	if err := w.exec(ctx, "Globex", "alter table users add column nickname varchar(40); drop index tasks_project_id_idx"); err != nil {
		return err
	}
	summary, err := r.step(ctx, step{mode: "health-check", inputs: check, fails: true, outputs: []string{"failed=1", `failed-tenants=["Globex"]`}})
	if err != nil {
		return err
	}
	title("What the run's page on GitHub shows of it (Markdown)")
	fmt.Println(summary)
	return w.exec(ctx, "Globex", "alter table users drop column nickname; create index tasks_project_id_idx on tasks (project_id)")
}
