package backup

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/org/neon-tenants-action/internal/backups"
	"github.com/org/neon-tenants-action/internal/pgdump"
	"github.com/org/neon-tenants-action/internal/postgres"
)

// tryRestore reads an upload from the bucket, loads it into a throwaway database and compares the rows there with those
// that were dumped. Unlike mode restore it reads the upload once: damage is found before the commit as well, and here
// there is nothing to protect until then.
func (b *Job) tryRestore(
	ctx context.Context, m backups.Manifest, key backups.Key, dumped pgdump.Dumped, log *slog.Logger,
) (v backups.Verification, err error) {
	v = m.Verified
	r, err := b.Store.Get(ctx, m.Key)
	if err != nil {
		return v, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	format, compression := encodingOf(key.Kind)
	err = postgres.WithScratchDatabase(ctx, b.verifyOn, func(scratch postgres.Target) error {
		restored, err := pgdump.Restore(ctx, scratch, pgdump.RestoreOptions{
			Major: key.Major, Format: format, Compression: compression, WantSHA256: m.StoredSHA256, Log: log,
		}, r)
		if err != nil {
			return err
		}
		v.Tables = len(restored.Tables)
		for _, t := range restored.Tables {
			v.Rows += max(0, t.Rows)
		}
		return compareRows(dumped.Rows, restored.Tables)
	})
	if err != nil {
		return v, err
	}
	v.How, v.At = "restore", b.Store.Now().UTC()
	return v, nil
}

// compareRows returns an error if a restored table does not have the rows that were counted in the dump. The rows of a
// custom archive are not counted, so there is nothing to compare.
func compareRows(dumped, restored []postgres.TableRows) error {
	have := map[string]int64{}
	for _, t := range restored {
		have[t.Table] = t.Rows
	}
	for _, t := range dumped {
		if rows, ok := have[t.Table]; !ok || (rows >= 0 && rows != t.Rows) {
			return fmt.Errorf("table %s had %d rows in the dump and has %d when restored", t.Table, t.Rows, rows)
		}
	}
	return nil
}
