package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"text/tabwriter"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/org/neon-tenants-action/internal/bucket/buckettest"
	"github.com/org/neon-tenants-action/internal/postgres/pgtest"
)

const (
	restoredDump   = 200 << 20
	restoredTables = 500
)

// restores loads one large dump, and one of many small tables.
func restores(ctx context.Context, b *bench) error {
	if _, err := buckettest.Find(); err != nil {
		fmt.Printf("\nRestoring is left out: %v\n", err)
		return nil
	}
	size, tables := int64(restoredDump), restoredTables
	if b.short {
		size, tables = 20<<20, 100
	}
	title := fmt.Sprintf("a dump of about %d MiB", size>>20)
	if err := b.restore(ctx, "tenant_restore_large", title, size, 0); err != nil {
		return err
	}
	title = fmt.Sprintf("a dump of %d small tables", tables)
	return b.restore(ctx, "tenant_restore_small", title, 64<<10, tables)
}

// restoreSite is a backup of one database, in the bucket and as files, and where it is restored into.
type restoreSite struct {
	*backupSite
	target string
	tables int
}

// restoreWay is one way to load it. oneProcess is true if the command is a single program.
type restoreWay struct {
	name       string
	command    func(ctx context.Context) *exec.Cmd
	oneProcess bool
}

// restore makes a database with that much data and that many further tables, backs it up, and races the ways to load
// the backup.
func (b *bench) restore(ctx context.Context, name, title string, size int64, tables int) (err error) {
	site, err := b.newBackupSite(ctx, name, size, 1)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, site.close()) }()
	s := &restoreSite{backupSite: site, target: name + "_target", tables: len(sampleTables) + tables}
	program, err := s.prepare(ctx, tables)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(s.files)) }()
	ways := s.restoreWays(program)
	costs := make([][]cost, len(ways))
	peaks := make([][]float64, len(ways))
	for round := range s.rounds {
		for i := range ways {
			i = (i + round) % len(ways)
			took, peak, err := s.load(ctx, ways[i])
			if err != nil {
				return fmt.Errorf("%s: %w", ways[i].name, err)
			}
			costs[i], peaks[i] = append(costs[i], took), append(peaks[i], float64(peak)/1024)
			s.progress("%s, round %d: %s: %.2f s, load %s", title, round+1, ways[i].name, took.wall.Seconds(), load())
		}
	}
	printRestores(title, ways, costs, peaks)
	return nil
}

// prepare fills the bucket, and the directory of files with the same dump.
func (s *restoreSite) prepare(ctx context.Context, tables int) (program string, err error) {
	if program, err = s.program(ctx); err != nil {
		return "", err
	}
	err = s.server.Superuser(ctx, s.role, func(conn *pgx.Conn) error {
		_, err := conn.PgConn().Exec(ctx, fmt.Sprintf(`set role %s; do $$ begin for i in 1 .. %d loop
			execute format('create table small_%%s (id serial primary key, name text not null, at timestamptz)', i);
			execute format('insert into small_%%s (name, at) select ''row '' || n, now() from generate_series(1, 10) n', i);
			execute format('create index on small_%%s (name)', i);
		end loop; end $$`, pgtest.Identifier(s.role), tables)).ReadAll()
		return err
	})
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(s.files, 0o700); err != nil {
		return "", err
	}
	dump := s.script(1, `set -o pipefail; pg_dump --no-owner --no-privileges "$PGDATABASE" > dump.sql
		gzip -6 --force --keep dump.sql`)
	for _, command := range []*exec.Cmd{dump(ctx), s.ours("", 0, program).command(ctx)} {
		if out, err := command.CombinedOutput(); err != nil {
			return "", fmt.Errorf("make the backup: %w: %s", err, out)
		}
	}
	return program, nil
}

// restoreWays are the floor, ours, and what scripts do. Each loads the backup in one transaction.
func (s *restoreSite) restoreWays(program string) []restoreWay {
	const psql = "psql --no-psqlrc --quiet --output=/dev/null --single-transaction --set=ON_ERROR_STOP=1 --dbname="
	shell := func(script string) func(context.Context) *exec.Cmd {
		return func(ctx context.Context) *exec.Cmd {
			cmd := exec.CommandContext(ctx, "bash", "-e", "-o", "pipefail", "-c", script)
			cmd.Dir, cmd.Env = s.files, s.environment()
			return cmd
		}
	}
	url := fmt.Sprintf("INPUT_RESTORE-URL=postgresql://%s:%s@%s/%s?sslmode=disable", s.role, "p%40ss%3Aw%2Fr%25d",
		s.address(), s.target)
	return []restoreWay{
		{"floor: psql, from a file that is not compressed", shell(psql + s.target + " --file=dump.sql"), false},
		{"ours", s.ours("", 0, program, "INPUT_MODE=restore", url).command, true},
		{"psql in a pipe: gunzip, from a file", shell("gunzip --stdout dump.sql.gz | " + psql + s.target), false},
	}
}

// load measures one way, into an empty database.
func (s *restoreSite) load(ctx context.Context, way restoreWay) (took cost, peakKiB int, err error) {
	if err := s.server.CreateDatabase(ctx, s.target, s.role, ""); err != nil {
		return cost{}, 0, err
	}
	defer func() {
		err = errors.Join(err, s.server.Exec(context.WithoutCancel(ctx), "postgres",
			"drop database "+pgtest.Identifier(s.target)+" with (force)", "checkpoint"))
	}()
	if took, peakKiB, err = spend(way.command(ctx)); err != nil {
		return took, 0, err
	}
	return took, peakKiB, s.loaded(ctx)
}

// spend runs a command and returns what it took, its children's CPU time included, and its own peak of memory.
func spend(cmd *exec.Cmd) (took cost, peakKiB int, err error) {
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	ended, peak := make(chan struct{}), make(chan int, 1)
	began := time.Now()
	if err := cmd.Start(); err != nil {
		return cost{}, 0, err
	}
	go func() { peak <- peakMemory(cmd.Process.Pid, ended) }()
	err = cmd.Wait()
	took = cost{wall: time.Since(began), cpu: cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()}
	close(ended)
	peakKiB = <-peak
	if err != nil {
		const shown = 4000
		return took, 0, fmt.Errorf("%w: %s", err, said.Bytes()[max(0, said.Len()-shown):])
	}
	return took, peakKiB, nil
}

// loaded returns an error unless the target has every table, with rows in it.
func (s *restoreSite) loaded(ctx context.Context) error {
	return s.server.Superuser(ctx, s.target, func(conn *pgx.Conn) error {
		var tables int
		err := conn.QueryRow(ctx, `select count(*) from pg_class c where relkind = 'r' and relnamespace =
			'public'::regnamespace and pg_relation_size(oid) > 0`).Scan(&tables)
		if err == nil && tables != s.tables {
			err = fmt.Errorf("the target has %d tables with rows, not %d", tables, s.tables)
		}
		return err
	})
}

func printRestores(title string, ways []restoreWay, costs [][]cost, peaks [][]float64) {
	fmt.Printf("\n### Restoring: %s\n\n", title)
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 1, ' ', 0)
	fmt.Fprint(w, "| \t| n\t| wall, s\t| × floor\t| ours faster by\t| CPU s\t| peak MiB\t|\n"+
		"| ---\t| ---\t| ---\t| ---\t| ---\t| ---\t| ---\t|\n")
	for i, way := range ways {
		faster, memory := "–", "–"
		if i > 1 {
			faster = fmt.Sprintf("%.2f", ratio(costs[i], costs[1]))
		}
		if way.oneProcess {
			memory = seconds(peaks[i])
		}
		fmt.Fprintf(w, "| %s\t| %d\t| %s\t| %.2f\t| %s\t| %.2f\t| %s\t|\n", way.name, len(costs[i]),
			seconds(walls(costs[i])), ratio(costs[i], costs[0]), faster, median(cpus(costs[i])), memory)
	}
	_ = w.Flush() // to standard output; if that is closed, nobody reads it
	fmt.Printf("\nThe load average at the end was %s.\n", load())
}
