package backup

import (
	"context"
	"errors"
	"fmt"

	"github.com/org/neon-tenants-action/internal/backups"
	"github.com/org/neon-tenants-action/internal/bucket"
	"github.com/org/neon-tenants-action/internal/fingerprint"
	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/pgdump"
	"github.com/org/neon-tenants-action/internal/postgres"
	"github.com/org/neon-tenants-action/internal/remedies"
	"github.com/org/neon-tenants-action/internal/words"
)

// compare compares what was restored with what the manifest says of it, and completes the proof. Manifests of earlier
// versions say less; what could not be compared is in the proof. Errors: [*pgdump.MismatchError], [*CheckError].
func (s seen) compare(m backups.Manifest, checkSQL string, p *backups.RestoreProof) error {
	for _, one := range []func(m backups.Manifest, p *backups.RestoreProof) error{
		s.compareBytes, s.compareRows, s.compareSchema, s.compareVersion,
	} {
		if err := one(m, p); err != nil {
			return err
		}
	}
	if checkSQL == "" {
		return nil
	}
	if s.checked != nil {
		return s.checked
	}
	p.Compared, p.CheckSQL = append(p.Compared, "check-sql returned true"), sumOf(checkSQL)
	return nil
}

func mismatch(format string, args ...any) error {
	return &pgdump.MismatchError{Problem: fmt.Sprintf(format, args...)}
}

// compareBytes compares the dump before it was compressed; the stored bytes' hash was compared before the commit.
func (s seen) compareBytes(m backups.Manifest, p *backups.RestoreProof) error {
	r := s.restored
	p.StoredSize, p.StoredSHA256 = r.StoredSize, r.StoredSHA256
	if r.StoredSize != m.StoredSize {
		return mismatch("the object holds %d bytes, and the manifest says %d", r.StoredSize, m.StoredSize)
	}
	p.Compared = append(p.Compared, fmt.Sprintf("SHA-256 of the %d stored bytes", r.StoredSize))
	if m.PlainSHA256 == "" {
		p.NotCompared = append(p.NotCompared, "the dump's own hash, which the manifest does not hold")
		return nil
	}
	if r.PlainSize != m.PlainSize || r.PlainSHA256 != m.PlainSHA256 {
		return mismatch("the dump holds %d bytes with the SHA-256 %s, and the manifest says %d and %s",
			r.PlainSize, r.PlainSHA256, m.PlainSize, m.PlainSHA256)
	}
	p.Compared = append(p.Compared, fmt.Sprintf("SHA-256 of the dump's %d bytes", r.PlainSize))
	return nil
}

// compareRows compares the rows in the manifest, those that the server took and those that the tables hold.
func (s seen) compareRows(m backups.Manifest, p *backups.RestoreProof) error {
	p.Tables, p.Rows = s.restored.Loaded()
	held := int64(0)
	for _, t := range s.restored.Tables {
		held += max(0, t.Rows)
	}
	switch c := m.Contents; {
	case c != nil && c.Tables != nil && c.Rows != nil:
		if *c.Tables != p.Tables || *c.Rows != p.Rows {
			return mismatch("%s in %s were loaded, and the manifest says that %s in %s were dumped",
				words.Count(int(p.Rows), "row", "rows"), words.Count(p.Tables, "table", "tables"),
				words.Count(int(*c.Rows), "row", "rows"), words.Count(*c.Tables, "table", "tables"))
		}
		p.Compared = append(p.Compared, "rows and tables with those that were counted in the dump when it was made")
	case p.Tables == 0 && len(s.restored.Tables) > 0 && held == 0 && len(m.Args) == 0:
		return mismatch("it holds %s and no data for any of them",
			words.Count(len(s.restored.Tables), "table", "tables"))
	default:
		p.NotCompared = append(p.NotCompared, "rows and tables with those of the dump when it was made, which were not "+
			"counted then")
	}
	compared, err := s.restored.Compare(nil)
	if err != nil {
		return err
	}
	p.Compared = append(p.Compared, compareNote(compared)+", with those that the server took")
	for _, table := range compared.Uncounted {
		p.NotCompared = append(p.NotCompared, "the rows that table "+table+" holds")
	}
	return nil
}

// compareSchema compares the schema's fingerprint with that of the tenant's database.
func (s seen) compareSchema(m backups.Manifest, p *backups.RestoreProof) error {
	p.Fingerprint = s.hash
	c := m.Contents
	switch {
	case c == nil || c.Fingerprint == "":
		p.NotCompared = append(p.NotCompared, "the schema's fingerprint, which the manifest does not hold")
	case c.FingerprintVersion != fingerprint.Version:
		p.NotCompared = append(p.NotCompared, "the schema's fingerprint, which the manifest holds in another form")
	case s.hashErr != nil:
		return fmt.Errorf("the schema's fingerprint could not be taken: %w", s.hashErr)
	case c.Fingerprint != s.hash:
		return mismatch("the schema that was restored is not the tenant's: its fingerprint is %s, and the manifest says %s",
			s.hash, c.Fingerprint)
	default:
		p.Compared = append(p.Compared, "the schema's fingerprint with that of the tenant's database")
	}
	return nil
}

// compareVersion compares the highest migration that the restored database records.
func (s seen) compareVersion(m backups.Manifest, p *backups.RestoreProof) error {
	switch {
	case m.SchemaVersion == "":
		p.NotCompared = append(p.NotCompared, "the schema's version, which the manifest does not hold")
		p.SchemaVersion = s.version
	case s.noLedger != nil:
		return fmt.Errorf("the version of the restored schema could not be read: %w", s.noLedger)
	case s.version != m.SchemaVersion:
		return &versionError{s.version, m.SchemaVersion}
	default:
		p.SchemaVersion = s.version
		p.Compared = append(p.Compared, "the schema's version, "+s.version)
	}
	return nil
}

// versionError is the error of a restored database that records another version than the manifest.
type versionError struct{ got, want string }

func (e *versionError) Error() string {
	if e.got == "" {
		return fmt.Sprintf("the restored database records no migration, and the manifest says version %s", e.want)
	}
	return fmt.Sprintf("the restored database is at version %s, and the manifest says %s", e.got, e.want)
}

// notRestored is the error of a backup that is not proven, with a remedy. Whatever a server says of a dump, if the
// stored bytes are not those of the manifest, that is why.
func (d *drill) notRestored(ctx context.Context, j backups.Judged, err error) error {
	if errors.As(err, new(*pgdump.RestoreError)) && ctx.Err() == nil {
		if in, failed := d.source.store.Get(ctx, j.Key); failed == nil {
			if damage := altered(in, j.Manifest.StoredSHA256); damage != nil {
				err = damage
			}
			_ = in.Close()
		}
	}
	const again = "back the tenant up again now with mode backup, restore what is urgent from an older backup " +
		"(backup-key), and find out what became of this one; it was left as it is"
	failed := fmt.Errorf("the backup %s does not restore: %w", j.Key, err)
	restores := fmt.Errorf("the backup %s restores, but %w", j.Key, err)
	unproven := fmt.Errorf("the backup %s was not proven: %w", j.Key, err)
	var bad *pgdump.BackupError
	switch {
	case ctx.Err() != nil:
		return unproven
	case errors.As(err, &bad) && bad.Cause != "" && bad.Cause != pgdump.UnusableBackup:
		return fmt.Errorf("the backup %s was not proven: %w", j.Key, explainKey(err, j.Manifest))
	case errors.As(err, new(*versionError)):
		return fleet.WithRemedy(restores, "give migrations-format and migrations-table as the backup runs have them; if "+
			"they are the same, "+again)
	case errors.As(err, new(*CheckError)):
		return fleet.WithRemedy(restores, "see in a restored copy what check-sql misses; if the data is right, correct the "+
			"query, else "+again)
	case errors.As(err, &bad), errors.As(err, new(*pgdump.MismatchError)), refused(err, len(j.Manifest.Args) > 0):
		return fleet.WithRemedy(failed, again)
	case errors.As(err, new(*bucket.Error)):
		return unproven
	case errors.As(err, new(*pgdump.RestoreError)), errors.As(err, new(*postgres.ConnectError)),
		errors.As(err, new(*postgres.TransactionPoolerError)), postgres.NoScratch(err):
		return fleet.WithRemedy(fmt.Errorf("the backup %s was not proven, because the server for throwaway databases did "+
			"not load it: %w", j.Key, err), onServer(err, ""))
	case remedies.Of(err) != "":
		return unproven
	}
	return fleet.WithRemedy(unproven, "look at the server of verify-database-url, and run again")
}
