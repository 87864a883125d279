package health

import (
	"context"
	"fmt"

	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/report"
	"github.com/org/neon-tenants-action/internal/words"
)

// findOrphans asks the source for them, if it can tell.
func (h *checker) findOrphans(ctx context.Context) ([]string, error) {
	source, ok := h.env.Source.(fleet.Orphans)
	if !ok || ctx.Err() != nil {
		return nil, nil
	}
	h.conns.Close() // the source makes one of its own, for which there may be no room
	return source.Orphans(ctx, h.state.Table.Name)
}

// orphanError is what the run fails with or warns about: orphans, or why looking for them failed.
func orphanError(found []string, err error) error {
	switch {
	case err != nil:
		return fmt.Errorf("look for orphans: %w", err)
	case len(found) == 0:
		return nil
	}
	return fleet.WithRemedy(
		fmt.Errorf("%s to no tenant: %s",
			words.Count(len(found), "orphan belongs", "orphans belong"), words.List(found, 5)),
		"register those that are tenants, and drop the others")
}

func orphanSection(found []string) report.Section {
	return report.Section{
		Title: "Orphans: " + words.Count(len(found), "belongs", "belong") + " to no tenant",
		Lines: found,
	}
}
