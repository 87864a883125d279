package backup

import (
	"testing"

	"github.com/org/neon-tenants-action/internal/backups"
	"github.com/org/neon-tenants-action/internal/compress"
	"github.com/org/neon-tenants-action/internal/pgdump"
)

func TestKinds(t *testing.T) {
	for _, c := range []struct {
		options     pgdump.DumpOptions
		kind        string
		format      pgdump.Format
		compression compress.Kind
	}{
		{pgdump.DumpOptions{Format: pgdump.Plain, Compression: compress.Gzip}, backups.PlainGzip, pgdump.Plain,
			compress.Gzip},
		{pgdump.DumpOptions{Format: pgdump.Plain, Compression: compress.Zstd}, backups.PlainZstd, pgdump.Plain,
			compress.Zstd},
		{pgdump.DumpOptions{Format: pgdump.Custom, Compression: compress.Gzip}, backups.Custom, pgdump.Custom, compress.None},
		{pgdump.DumpOptions{Format: pgdump.Custom, Compression: compress.Zstd}, backups.Custom, pgdump.Custom, compress.None},
	} {
		kind := kindOf(c.options)
		format, compression := encodingOf(kind)
		if kind != c.kind || format != c.format || compression != c.compression {
			t.Errorf("%+v: kind %s, read as %s and %s", c.options, kind, format, compression)
		}
	}
}
