package mode

import "github.com/org/neon-tenants-action/internal/postgres"

// CatalogReader is a source that may list its tenants from a database in which the run itself makes the tables.
type CatalogReader interface {
	// ReadsFrom reports whether the tenants are listed in that database.
	ReadsFrom(t postgres.Target) bool
}
