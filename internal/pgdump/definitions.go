package pgdump

import (
	"bytes"
	"context"
	"log/slog"
	"strings"

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
		strings.NewReader(withoutPublic(script.String())))
	return err
}

// withoutPublic takes out of a script what makes the schema public, which every database has: pg_dump writes that if
// schemas are named. A comment may have several lines, and a function's body may look like such a statement.
func withoutPublic(script string) string {
	var kept strings.Builder
	from := 0
	for _, s := range sqltext.Statements(script) {
		text := script[s.Start:s.End]
		if text == "CREATE SCHEMA public" || strings.HasPrefix(text, "COMMENT ON SCHEMA public IS ") {
			kept.WriteString(script[from:s.Start])
			from = min(s.End+1, len(script)) // with the semicolon
		}
	}
	kept.WriteString(script[from:])
	return kept.String()
}
