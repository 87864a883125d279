package mode

import (
	"cmp"
	"errors"
	"path"

	"github.com/org/neon-tenants-action/internal/backups"
	"github.com/org/neon-tenants-action/internal/catalog"
	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/postgres"
)

// factual is a mode's detail of a tenant that holds something worth recording in the catalog.
type factual interface {
	Facts(r fleet.Result) catalog.Facts
}

// Facts is what a run of that mode found out about one tenant, for the catalog.
func Facts(mode string, r fleet.Result) catalog.Facts {
	if r.State == fleet.Skipped {
		return catalog.Facts{}
	}
	if d, ok := r.Outcome.Detail.(factual); ok {
		return d.Facts(r)
	}
	if mode == "migrate" { // it could not even be connected to
		return MigrateDetail{}.Facts(r)
	}
	return catalog.Facts{}
}

// Facts tells the tenant's version and how its migration ended.
func (d MigrateDetail) Facts(r fleet.Result) catalog.Facts {
	return catalog.Facts{SchemaVersion: d.After, MigratedAt: r.Started.Add(r.Elapsed), Migration: string(r.State)}
}

// Facts tells the newest backup: the one made, also where what followed it failed, or the one that made it needless.
func (d BackupDetail) Facts(r fleet.Result) catalog.Facts {
	f := backupFacts(cmp.Or(d.Key, d.Newest))
	f.SchemaVersion = d.SchemaVersion
	if d.Key != "" && d.Verified == "restore" {
		f.RestoredKey, f.RestoredAt = d.Key, r.Started.Add(r.Elapsed)
	}
	return f
}

// Facts tells which backup was proved by its restore. The version is the backup's, not the tenant's.
func (d RestoreDetail) Facts(r fleet.Result) catalog.Facts {
	if r.State != fleet.Succeeded {
		return catalog.Facts{}
	}
	return catalog.Facts{RestoredKey: d.Key, RestoredAt: r.Started.Add(r.Elapsed)}
}

// Facts are those of the migration, which is what is new about a tenant beside its being there.
func (d CreateDetail) Facts(r fleet.Result) catalog.Facts {
	if d.Migration == nil {
		return catalog.Facts{}
	}
	return d.Migration.Facts(r)
}

// Facts tell what was found: the version, and the newest verified backup.
func (d HealthDetail) Facts(fleet.Result) catalog.Facts {
	f := backupFacts(d.NewestBackup)
	f.SchemaVersion = d.Version
	return f
}

// Facts tell that the tenant is gone, and the backup that is left of it.
func (d DropDetail) Facts(r fleet.Result) catalog.Facts {
	f := backupFacts(d.Backup)
	if d.Dropped {
		f.DroppedAt = r.Started.Add(r.Elapsed)
	}
	return f
}

// backupFacts tell of the verified backup of that key; an empty one is none.
func backupFacts(written string) catalog.Facts {
	folder, _ := path.Split(written)
	key, ok := backups.ParseKey(folder, written)
	if !ok {
		return catalog.Facts{}
	}
	return catalog.Facts{BackupKey: key.String(), BackupAt: key.Time}
}

// notTheCatalog refuses to change the database that a connection string leads to where it is the catalog's own: a project of the
// organization like all others, which a fleet's pattern takes in by mistake.
func notTheCatalog(env Env, url string) error {
	server, database, err := postgres.Place(url)
	if err != nil || env.Catalog == "" || env.Catalog != server+"/"+database {
		return nil // what is wrong with the string is said where it is used
	}
	return fleet.WithRemedy(errors.New("this is the catalog's own database, that of catalog-url, and no tenant"),
		"leave it out, with a line such as !catalog in tenants, or give catalog-url a database of its own")
}
