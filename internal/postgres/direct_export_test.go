package postgres

import (
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// SetPatience makes a silent server count as one sooner.
func (d *DirectTLS) SetPatience(p time.Duration) { d.patience = p }

// BeginsDirectly is beginsDirectly for a target's own configuration.
func BeginsDirectly(t Target) bool { return beginsDirectly(t, t.Config()) }

// DirectGroup is directGroup.
func DirectGroup(cfg *pgconn.Config) string { return directGroup(cfg) }
