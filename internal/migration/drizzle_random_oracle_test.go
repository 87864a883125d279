package migration_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/org/neon-tenants-action/internal/drizzletest"
	"github.com/org/neon-tenants-action/internal/postgres/pgtest"
	"github.com/org/neon-tenants-action/internal/servertest"
)

// TestBesideDrizzleRandomHistories lets a folder change as branches that are merged do: files are added anywhere, with
// times in any order, renamed, edited, deleted and moved. After each change both migrate, here ours and there drizzle,
// or they take turns; the files that are recorded must be the same everywhere, in the same order.
func TestBesideDrizzleRandomHistories(t *testing.T) {
	eachLine(t, func(t *testing.T, line drizzletest.Line) {
		const seeds, changes = 4, 5
		theirs, ours, turns := pgtest.Database(t), pgtest.Database(t), pgtest.Database(t)
		for seed := range uint64(seeds) {
			r := rand.New(rand.NewPCG(seed, 13))
			for _, url := range []string{theirs, ours, turns} {
				pgtest.Do(t, url, "drop schema if exists drizzle cascade")
			}
			var files []drizzletest.File
			var history []string
			for i := range changes {
				files = changed(r, files, 10*i)
				history = append(history, names(files))
				folder := drizzletest.Write(t, line, files...)
				must(t, "drizzle", byThem(t, line, theirs, folder))
				_, err := byUs(t, ours, folder)
				must(t, "ours", err)
				if r.IntN(2) == 0 {
					must(t, "drizzle, in turns", byThem(t, line, turns, folder))
				} else {
					_, err := byUs(t, turns, folder)
					must(t, "ours, in turns", err)
				}
			}
			want := drizzletest.Rows(t, theirs, drizzleTable)
			servertest.Equal(t, "ours", drizzletest.Rows(t, ours, drizzleTable), want)
			servertest.Equal(t, "turns", drizzletest.Rows(t, turns, drizzleTable), want)
			if t.Failed() {
				t.Fatalf("seed %d, after:\n%s", seed, strings.Join(history, "\n"))
			}
		}
	})
}

// changed returns files after one change, at least one of them new; n is the first of ten numbers that no file has.
func changed(r *rand.Rand, files []drizzletest.File, n int) []drizzletest.File {
	files = slices.Clone(files)
	for i := range 1 + r.IntN(3) {
		second := r.IntN(60)
		for slices.ContainsFunc(files, func(f drizzletest.File) bool { return f.When == numberedAs(second, "", "").When }) {
			second++
		}
		name := string("abAB_-"[r.IntN(6)]) + fmt.Sprint(n+i)
		files = slices.Insert(files, r.IntN(len(files)+1), numberedAs(second, name, fmt.Sprintf("select %d", n+i)))
	}
	one := r.IntN(len(files))
	switch r.IntN(6) {
	case 0:
		files[one].Name += "x"
	case 1:
		files[one].SQL += " -- edited"
	case 2:
		if len(files) > 1 {
			files = slices.Delete(files, one, one+1)
		}
	case 3:
		r.Shuffle(len(files), func(i, j int) { files[i], files[j] = files[j], files[i] })
	}
	return files
}

// names are those of files, in their order.
func names(files []drizzletest.File) string {
	var all []string
	for _, f := range files {
		all = append(all, f.Name)
	}
	return strings.Join(all, " ")
}
