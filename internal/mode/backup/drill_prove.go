package backup

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/org/neon-tenants-action/internal/backups"
	"github.com/org/neon-tenants-action/internal/bucket"
	"github.com/org/neon-tenants-action/internal/fingerprint"
	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/pgdump"
	"github.com/org/neon-tenants-action/internal/postgres"
)

// prove restores the newest backup of a chain into a throwaway database, compares what is there with what the manifest
// says, and writes the proof beside the backup. Nothing else in the bucket is touched. If anything is not as it should
// be, there is no proof, and an older one stays: it counts only as long as the object is the one that it was of.
func (d *drill) prove(
	ctx context.Context, t fleet.Tenant, c backups.Chain, log *slog.Logger,
) (p backups.RestoreProof, err error) {
	j := c.Newest
	key, _ := parseKey(j.Key)
	if j.Standing == backups.Damaged {
		return p, d.notRestored(ctx, j, &pgdump.BackupError{Problem: j.Why()})
	}
	if key.Encrypted && len(d.identities) == 0 {
		return p, errEncrypted(source{key, j.Manifest})
	}
	on, err := d.serverFor(key)
	if err != nil {
		return p, err
	}
	m := j.Manifest
	begun := time.Now()
	p = backups.RestoreProof{
		Key: j.Key, Tenant: m.Tenant, Origin: m.Origin, MadeAt: m.StartedAt,
		ServerVersion: on.version, ProgramVersion: d.env.Version, RunID: d.env.RunID, StartedAt: d.source.store.Now().UTC(),
	}
	seen, object, err := d.restore(ctx, key, m, on, log)
	if err == nil {
		err = seen.compare(m, d.checkSQL, &p)
	}
	if err != nil {
		return p, d.notRestored(ctx, j, err)
	}
	p.ETag = object.ETag
	p.FinishedAt, p.Seconds = d.source.store.Now().UTC(), time.Since(begun).Round(time.Millisecond).Seconds()
	if err := d.source.store.Prove(ctx, p); err != nil {
		return p, fmt.Errorf("the backup %s restores, but that could not be recorded beside it: %w", p.Key, err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.proven[t.ID] = p
	return p, nil
}

// seen is what a drill saw in the throwaway database.
type seen struct {
	restored pgdump.Restored
	hash     string // the schema's fingerprint
	hashErr  error  // why there is none
	version  string // of the schema
	noLedger error  // why the version is not known
	checked  error  // what is wrong with the answer to check-sql
}

// restore restores a backup into a throwaway database, and looks at what is there. It reads the object once: what was
// read is verified before the restore is committed, and a throwaway database holds nothing to protect.
func (d *drill) restore(
	ctx context.Context, key backups.Key, m backups.Manifest, on *server, log *slog.Logger,
) (s seen, object bucket.Object, err error) {
	in, err := d.source.store.Get(ctx, key.String())
	if err != nil {
		return s, object, err
	}
	defer func() { _ = in.Close() }()
	format, compression := encodingOf(key.Kind)
	o := pgdump.RestoreOptions{
		Major: key.Major, Format: format, Compression: compression, Identities: d.identities,
		WantSHA256: m.StoredSHA256, Log: log,
		Look: func(ctx context.Context, c *postgres.Conn) error { return d.look(ctx, c, m.Origin.Schema, &s) },
	}
	needs := backups.Contents{}
	if m.Contents != nil {
		needs = *m.Contents
	}
	var extensions []postgres.Extension
	for _, e := range needs.Extensions {
		extensions = append(extensions, postgres.Extension{Name: e.Name, Schema: e.Schema})
	}
	err = on.withScratch(ctx, needs.Encoding, func(scratch postgres.Target) error {
		missing, err := postgres.CreateExtensions(ctx, scratch, extensions)
		if err != nil {
			return err
		}
		s.restored, err = pgdump.Restore(ctx, scratch, o, stored{in})
		return lacksExtension(err, missing)
	})
	return s, in.Object, err
}

// look looks at the restored database. Only a session that is lost is an error: everything else is compared later.
func (d *drill) look(ctx context.Context, c *postgres.Conn, schema string, s *seen) error {
	var f fingerprint.Fingerprint
	f, s.hashErr = fingerprint.Take(ctx, c, fingerprint.Options{Schema: schema, Portable: true})
	s.hash = f.Hash
	table := d.ledger.AtHome()
	if schema != "" {
		table = d.ledger.In(schema)
	}
	status, err := postgres.ReadStatus(ctx, c, table, postgres.NoLock)
	s.version, s.noLedger = status.Highest(), err
	if d.checkSQL != "" {
		s.checked = check(ctx, c, schema, d.checkSQL)
	}
	if c.Closed() {
		return errors.Join(s.hashErr, s.noLedger, s.checked)
	}
	return nil
}

// sumOf is the SHA-256 of a text, in hex.
func sumOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}
