package migration_test

import (
	"fmt"
	"testing"

	"github.com/org/neon-tenants-action/internal/drizzletest"
	"github.com/org/neon-tenants-action/internal/postgres/pgtest"
	"github.com/org/neon-tenants-action/internal/servertest"
)

// TestBesideDrizzleSiblingFolders has four tenants with a folder each, generated from one schema one after another, so
// that the same files have other times and names. The folder with the lowest last time is kept for all of them.
func TestBesideDrizzleSiblingFolders(t *testing.T) {
	t.Parallel()
	drizzletest.Need(t)
	generated := drizzletest.Read(t, drizzletest.Journal, drizzletest.Generated(t, "journal/shop"))
	var kept []drizzletest.File
	var ours, theirs []string
	for tenant := range 4 {
		files := make([]drizzletest.File, len(generated))
		for i, f := range generated {
			files[i] = f
			files[i].Name = fmt.Sprintf("%04d_tenant_%d", i, tenant)
			files[i].When += int64(tenant * (700 + 10*i))
		}
		if tenant == 0 {
			kept = files
		}
		folder := drizzletest.Write(t, drizzletest.Journal, files...)
		for _, urls := range []*[]string{&ours, &theirs} {
			url := pgtest.Database(t)
			must(t, "drizzle", byThem(t, drizzletest.Journal, url, folder))
			*urls = append(*urls, url)
		}
	}
	next := kept[len(kept)-1]
	next.Name, next.SQL, next.When = "0003_next", table("n"), next.When+60000
	for _, step := range []struct {
		files []drizzletest.File
		want  int
	}{{kept, 0}, {append(kept, next), 1}} {
		folder := drizzletest.Write(t, drizzletest.Journal, step.files...)
		for i, url := range ours {
			must(t, "drizzle", byThem(t, drizzletest.Journal, theirs[i], folder))
			got, err := byUs(t, url, folder)
			must(t, "ours", err)
			servertest.Equal(t, "applied", len(got.Applied), step.want)
			if len(got.Skipped)+len(got.Unknown)+len(got.Edited)+len(got.Warnings) > 0 {
				t.Errorf("tenant %d: ours finds fault: %+v", i, got)
			}
			servertest.Equal(t, "what ours leaves", stateOf(t, url), stateOf(t, theirs[i]))
		}
	}
}
