package pgdump

import (
	"bytes"
	"context"
	"log/slog"

	"github.com/org/neon-tenants-action/internal/compress"
	"github.com/org/neon-tenants-action/internal/postgres"
	"github.com/org/neon-tenants-action/internal/sqltext"
)

// CopyDefinitions copies a database without its rows into an empty one on a server of the same major. schemas are those
// to copy; none: all. Errors are those of [Dump] and [Restore].
func CopyDefinitions(
	ctx context.Context, from, to postgres.Target, major int, schemas []string, log *slog.Logger,
) error {
	o := DumpOptions{Major: major, Args: []string{"--schema-only"}, Compression: compress.None, Log: log}
	for _, s := range schemas {
		o.Args = append(o.Args, "--schema="+sqltext.QuoteIdentifier(s))
	}
	var script bytes.Buffer
	if _, err := Dump(ctx, from, o, &script); err != nil {
		return err
	}
	_, err := Restore(ctx, to, RestoreOptions{Major: major, Format: Plain, Compression: compress.None, Log: log},
		bytes.NewReader(withoutPublic(script.Bytes())))
	return err
}

// withoutPublic takes out of a script what makes the schema public, which every database has: pg_dump writes that if
// schemas are named.
func withoutPublic(script []byte) []byte {
	var kept [][]byte
	for _, line := range bytes.SplitAfter(script, []byte("\n")) {
		made := bytes.Equal(line, []byte("CREATE SCHEMA public;\n"))
		if !made && !bytes.HasPrefix(line, []byte("COMMENT ON SCHEMA public IS ")) {
			kept = append(kept, line)
		}
	}
	return bytes.Join(kept, nil)
}
