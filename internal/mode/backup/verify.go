package backup

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/org/neon-tenants-action/internal/backups"
	"github.com/org/neon-tenants-action/internal/pgdump"
	"github.com/org/neon-tenants-action/internal/postgres"
	"github.com/org/neon-tenants-action/internal/words"
)

// tryRestore reads an upload from the bucket, loads it into a throwaway database and compares the rows there with those
// that were dumped. Unlike mode restore it reads the upload once: that finds damage before the commit too, and a
// throwaway database holds nothing to protect.
func (b *Job) tryRestore(
	ctx context.Context, m backups.Manifest, key backups.Key, dumped pgdump.Dumped, db database, log *slog.Logger,
) (v backups.Verification, err error) {
	v = m.Verified
	r, err := b.Store.Get(ctx, m.Key)
	if err != nil {
		return v, err
	}
	defer func() { _ = r.Close() }() // what was read is verified by then
	format, compression := encodingOf(key.Kind)
	o := pgdump.RestoreOptions{
		Major: key.Major, Format: format, Compression: compression, WantSHA256: m.StoredSHA256,
		Relations: dumped.Relations, Log: log,
	}
	err = postgres.WithScratchDatabase(ctx, b.verifyOn, db.around.Encoding, func(scratch postgres.Target) error {
		var missing []error
		if b.partOf(db) {
			if missing, err = postgres.CreateExtensions(ctx, scratch, db.around.Extensions); err != nil {
				return err
			}
			o.Schemas = b.schemasFor(db)
		}
		restored, err := pgdump.Restore(ctx, scratch, o, stored{r})
		if err != nil {
			return lacksExtension(err, missing)
		}
		v.Tables = len(restored.Tables)
		for _, t := range restored.Tables {
			v.Rows += max(0, t.Rows)
		}
		compared, err := restored.Compare(dumped.Rows)
		v.Compared = compareNote(compared)
		log.Info("restored into a throwaway database and compared", "compared", v.Compared, "not counted",
			words.List(compared.Uncounted, 10))
		return err
	})
	if err != nil {
		return m.Verified, err
	}
	v.How, v.At = "restore", b.Store.Now().UTC()
	return v, nil
}

// partOf reports whether the dump may refer to what it does not hold: extensions and schemas.
func (b *Job) partOf(db database) bool {
	return db.schema != "" || len(backups.LeftOut(b.dump.Args)) > 0
}

// schemasFor are those that a dump of chosen tables needs. That of a schema creates its own.
func (b *Job) schemasFor(db database) []string {
	if db.schema != "" {
		return nil
	}
	return db.around.Schemas
}

// compareNote says by what a backup was compared.
func compareNote(c pgdump.Compared) string {
	text := fmt.Sprintf("%s in %s, counted in the database", words.Count(int(c.Rows), "row", "rows"),
		words.Count(c.Tables, "table", "tables"))
	if c.Dumped {
		text += " and in the dump"
	}
	if n := len(c.Uncounted); n > 0 {
		text += fmt.Sprintf("; of %s only what the server took", words.Count(n, "table", "tables"))
	}
	return text
}
