package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"text/tabwriter"

	"github.com/org/neon-tenants-action/internal/bucket/buckettest"
	"github.com/org/neon-tenants-action/internal/postgres/pgtest"
)

const (
	drillConcurrency = 4 // throwaway databases at once
	drillDump        = 256 << 10
	drillCount       = 50
)

// drills proves the backups of many small databases: mode verify-backups, and a script that loads each dump with psql
// into a database that it creates and drops, and compares nothing.
func drills(ctx context.Context, b *bench) (err error) {
	if _, err := buckettest.Find(); err != nil {
		fmt.Printf("\nDrills are left out: %v\n", err)
		return nil
	}
	count := drillCount
	if b.short {
		count = 12
	}
	const name = "tenant_drill"
	site, err := b.newBackupSite(ctx, name, drillDump, count)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, site.close()) }()
	s := &restoreSite{backupSite: site}
	if err := s.server.Exec(ctx, "postgres", "alter role "+pgtest.Identifier(name)+" createdb"); err != nil {
		return err
	}
	program, err := s.prepare(ctx, 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(s.files)) }()
	ways := s.drillWays(program)
	costs, peaks := make([][]cost, len(ways)), make([][]float64, len(ways))
	for round := range s.rounds {
		for i := range ways {
			i = (i + round) % len(ways)
			took, peak, err := spend(ways[i].command(ctx))
			if err != nil {
				return fmt.Errorf("%s: %w", ways[i].name, err)
			}
			costs[i], peaks[i] = append(costs[i], took), append(peaks[i], float64(peak)/1024)
			s.progress("drills, round %d: %s: %.2f s, load %s", round+1, ways[i].name, took.wall.Seconds(), load())
		}
	}
	printDrills(count, ways, costs, peaks)
	return nil
}

// drillWays are the script and ours.
func (s *restoreSite) drillWays(program string) []restoreWay {
	const script = `createdb "drill_$PGDATABASE"
		gunzip --stdout dump.sql.gz | psql --no-psqlrc --quiet --output=/dev/null --single-transaction \
			--set=ON_ERROR_STOP=1 --dbname="drill_$PGDATABASE"
		dropdb "drill_$PGDATABASE"`
	url := fmt.Sprintf("INPUT_VERIFY-DATABASE-URL=postgresql://%s:%s@%s/postgres?sslmode=disable", s.role,
		"p%40ss%3Aw%2Fr%25d", s.address())
	return []restoreWay{
		{"createdb, gunzip, psql and dropdb in a loop", s.script(drillConcurrency, "set -o pipefail; "+script), false},
		{"ours", func(ctx context.Context) *exec.Cmd {
			return s.ours("", 0, program, "INPUT_MODE=verify-backups", "INPUT_SAMPLE=100%", url,
				fmt.Sprintf("INPUT_CONCURRENCY=%d", drillConcurrency)).command(ctx)
		}, true},
	}
}

func printDrills(count int, ways []restoreWay, costs [][]cost, peaks [][]float64) {
	fmt.Printf("\n### Drills: %d small backups, %d at once\n\n", count, drillConcurrency)
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 1, ' ', 0)
	fmt.Fprint(w, "| \t| n\t| wall, s\t| restores a minute\t| ours faster by\t| CPU s\t| peak MiB\t|\n"+
		"| ---\t| ---\t| ---\t| ---\t| ---\t| ---\t| ---\t|\n")
	for i, way := range ways {
		faster, memory := "–", "–"
		if !way.oneProcess {
			faster = fmt.Sprintf("%.2f", ratio(costs[i], costs[len(ways)-1]))
		} else {
			memory = seconds(peaks[i])
		}
		fmt.Fprintf(w, "| %s\t| %d\t| %s\t| %.0f\t| %s\t| %.2f\t| %s\t|\n", way.name, len(costs[i]),
			seconds(walls(costs[i])), float64(count)*60/median(walls(costs[i])), faster, median(cpus(costs[i])), memory)
	}
	_ = w.Flush() // to standard output; if that is closed, nobody reads it
	fmt.Printf("\nThe load average at the end was %s.\n", load())
}
