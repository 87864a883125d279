package backup

import (
	"context"
	"log/slog"

	"github.com/org/neon-tenants-action/internal/backups"
	"github.com/org/neon-tenants-action/internal/fingerprint"
	"github.com/org/neon-tenants-action/internal/pgdump"
	"github.com/org/neon-tenants-action/internal/postgres"
)

// schemaHash returns the fingerprint of the tenant's schema, empty if it cannot be taken, which it tells the log: the
// backup is as good without. Everything counts, the table of versions too, so that a drill needs to know no setting of
// the backup's. Arguments of pg_dump may leave parts of a schema out, such as a table, so with any there is none.
func (b *Job) schemaHash(ctx context.Context, conn *postgres.Conn, schema string, log *slog.Logger) string {
	if len(b.dump.Args) > 0 || b.env.DryRun {
		return ""
	}
	f, err := fingerprint.Take(ctx, conn, fingerprint.Options{Schema: schema, Portable: true, Patience: lookTimeout})
	if err != nil {
		log.Info("the manifest will not hold the schema's fingerprint", "because", err)
		return ""
	}
	return f.Hash
}

// contents returns what the dump holds. The connection of the first look at the schema serves the second one. If the
// two differ, nobody knows which of them was dumped.
func (b *Job) contents(
	ctx context.Context, db database, dumped pgdump.Dumped, log *slog.Logger,
) *backups.Contents {
	c := &backups.Contents{Encoding: db.encoding}
	if b.partOf(db) {
		for _, e := range db.around.Extensions {
			c.Extensions = append(c.Extensions, backups.Extension{Name: e.Name, Schema: e.Schema})
		}
	}
	c.Tables, c.Rows = counted(dumped, b.dump)
	if db.schemaHash == "" || db.conn == nil {
		return c
	}
	switch b.schemaHash(ctx, db.conn, db.schema, log) {
	case db.schemaHash:
		c.Fingerprint, c.FingerprintVersion = db.schemaHash, fingerprint.Version
	case "":
	default:
		log.Info("the manifest will not hold the schema's fingerprint", "because", "the schema changed during the dump")
	}
	return c
}

// counted returns the number of tables and rows in a dump, nil if they were not counted.
func counted(dumped pgdump.Dumped, o pgdump.DumpOptions) (tables *int, rows *int64) {
	if dumped.Rows == nil && (o.Format == pgdump.Custom || len(o.Args) > 0) {
		return nil, nil
	}
	names, all := map[string]bool{}, int64(0)
	for _, t := range dumped.Rows {
		names[t.Table] = true
		all += t.Rows
	}
	n := len(names)
	return &n, &all
}
