package mode

import (
	"path"

	"github.com/org/neon-tenants-action/internal/backups"
	"github.com/org/neon-tenants-action/internal/catalog"
	"github.com/org/neon-tenants-action/internal/fleet"
)

// Factual is a mode's detail of a tenant that holds something worth recording in the catalog.
type Factual interface {
	// Facts are what the run found out about the tenant whose result this is.
	Facts(r fleet.Result) catalog.Facts
}

// BackupFacts are the facts of the verified backup with that key; an empty key is no backup.
func BackupFacts(key string) catalog.Facts {
	folder, _ := path.Split(key)
	k, ok := backups.ParseKey(folder, key)
	if !ok {
		return catalog.Facts{}
	}
	return catalog.Facts{BackupKey: k.String(), BackupAt: k.Time}
}
