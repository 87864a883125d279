package postgres

import (
	"context"
	"fmt"
	"strings"

	"github.com/org/neon-tenants-action/internal/sqltext"
)

// AddVersions inserts versions into a table of applied ones that exists.
func AddVersions(ctx context.Context, c *Conn, t Table, versions []string) error {
	rows := make([]string, len(versions))
	for i, v := range versions {
		rows[i] = "(" + sqltext.QuoteLiteral(v) + ")"
	}
	_, err := c.Exec(ctx, "insert into "+t.Quoted()+" (version) values "+strings.Join(rows, ", "))
	if err != nil {
		return fmt.Errorf("record versions in %s: %w", t.Quoted(), err)
	}
	return nil
}
