package main

import "context"

// showTenants takes a tenant through its life: created, found complete, dropped with its backup.
func (w *world) showTenants(ctx context.Context, r *runner) error {
	title("A new customer: a project is made, migrated, and complete when the run ends")
	hooli := []string{"tenant-name=Hooli", "neon-region=aws-eu-central-1"}
	if _, err := r.step(ctx, step{mode: "create-tenant", inputs: hooli, outputs: []string{"succeeded=1"}}); err != nil {
		return err
	}
	title("The same again: it is there, and nothing is made twice")
	if _, err := r.step(ctx, step{mode: "create-tenant", inputs: hooli, outputs: []string{"unchanged=1", "succeeded=0"}}); err != nil {
		return err
	}
	title("The customer leaves: a backup is made first, since there is none of the last hour")
	_, err := r.step(ctx, step{
		mode: "drop-tenant", inputs: []string{"tenant-name=Hooli", "confirm=Hooli"}, outputs: []string{"succeeded=1"},
	})
	return err
}
