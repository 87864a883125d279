package backup

import (
	"github.com/org/neon-tenants-action/internal/backups"
	"github.com/org/neon-tenants-action/internal/compress"
	"github.com/org/neon-tenants-action/internal/pgdump"
)

// kindOf returns the kind of backup that a dump with these options makes.
func kindOf(o pgdump.DumpOptions) string {
	switch {
	case o.Format == pgdump.Custom:
		return backups.Custom
	case o.Compression == compress.Zstd:
		return backups.PlainZstd
	}
	return backups.PlainGzip
}

// encodingOf returns how to read a backup of a kind. An archive is compressed by pg_dump itself, and not once more.
func encodingOf(kind string) (pgdump.Format, compress.Kind) {
	switch kind {
	case backups.Custom:
		return pgdump.Custom, compress.None
	case backups.PlainZstd:
		return pgdump.Plain, compress.Zstd
	}
	return pgdump.Plain, compress.Gzip
}
