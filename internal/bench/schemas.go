package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"golang.org/x/sync/errgroup"

	"github.com/org/neon-tenants-action/internal/postgres/pgtest"
	"github.com/org/neon-tenants-action/internal/postgres/wiretest"
)

const (
	schemaCount    = 200
	schemaDatabase = "tenants_of_one_database"
)

// schemas compares tenants that are schemas of one database. Reading the tracker is part of the work.
func schemas(ctx context.Context, b *bench) error {
	if _, err := b.server.CreateTenant(ctx, schemaDatabase, tenantPassword, schemaDatabase); err != nil {
		return err
	}
	files, err := wiretest.FloorFiles(b.migrations)
	if err != nil {
		return err
	}
	run, err := b.action("migrate", func(urls []string) ([]string, error) {
		return []string{"--tenant-source", "schemas", "--database-url", urls[0]}, nil
	}, "--migrations-path", b.migrations)
	if err != nil {
		return err
	}
	floorOf := func(reuse bool) func(context.Context, []string, int) (cost, error) {
		return func(ctx context.Context, urls []string, concurrency int) (cost, error) {
			return inProcess(func() error { return schemaFloor(ctx, urls[0], files, concurrency, reuse) })
		}
	}
	contenders := []contender{
		{name: "floor", run: floorOf(true)},
		{name: "ours", run: func(ctx context.Context, urls []string, concurrency int) (cost, error) {
			return inProcess(func() error { return run(ctx, urls, concurrency) })
		}},
		{name: "a connection per schema", run: floorOf(false)},
	}
	compare := func(l link) error {
		return b.raceSchemas(ctx, comparison{title: l.name + ", schemas of one database", link: l,
			tenants: b.count(schemaCount), concurrency: 16, contenders: contenders, showCPU: l.proxy == nil})
	}
	if err := compare(link{name: "loopback, no TLS"}); err != nil {
		return err
	}
	return b.overDistance(compare)
}

// raceSchemas is [bench.race] over the schemas of one database.
func (b *bench) raceSchemas(ctx context.Context, c comparison) error {
	text := b.server.TenantURL(schemaDatabase, tenantPassword, schemaDatabase)
	u, err := url.Parse(text)
	if err != nil {
		return errors.New("the database's connection string is not a URL")
	}
	u.RawQuery = "sslmode=disable"
	address := u.String()
	if c.link.proxy != nil {
		u.RawQuery = "sslmode=require"
		if address, err = c.link.proxy.URL(u.String()); err != nil {
			return err
		}
	}
	costs := make([][tasks][]cost, len(c.contenders))
	for round := range b.rounds {
		for i := range c.contenders {
			i = (i + round) % len(c.contenders)
			if err := b.resetSchemas(ctx, c.tenants); err != nil {
				return fmt.Errorf("empty the schemas: %w", err)
			}
			for task := range tasks {
				took, err := b.measure(ctx, c.contenders[i], []string{address}, c.concurrency)
				if err != nil {
					return fmt.Errorf("%s: %w", c.contenders[i].name, err)
				}
				costs[i][task] = append(costs[i][task], took)
			}
			if err := b.verifySchemas(ctx, c.tenants); err != nil {
				return fmt.Errorf("%s: %w", c.contenders[i].name, err)
			}
			b.progress("%s, round %d: %s: %.2f s, %.2f s", c.title, round+1, c.contenders[i].name,
				costs[i][apply][round].wall.Seconds(), costs[i][nothing][round].wall.Seconds())
		}
	}
	c.print(costs)
	return nil
}

// resetSchemas replaces the schemas and the tracker: n schemas, all empty.
func (b *bench) resetSchemas(ctx context.Context, n int) error {
	owner := pgtest.Identifier(schemaDatabase)
	tracker := []string{"set client_min_messages = warning; drop table if exists public.schema_tracker; create table " +
		"public.schema_tracker (name text primary key); alter table public.schema_tracker owner to " + owner}
	for i := range n { // each in a transaction of its own, because one transaction's locks are limited
		tracker = append(tracker, fmt.Sprintf("drop schema if exists t%[1]d cascade; create schema t%[1]d "+
			"authorization %[2]s; insert into public.schema_tracker values ('t%[1]d')", i, owner))
	}
	return b.server.Superuser(ctx, schemaDatabase, func(conn *pgx.Conn) error {
		for _, sql := range tracker {
			if _, err := conn.PgConn().Exec(ctx, sql).ReadAll(); err != nil {
				return err
			}
		}
		return nil
	})
}

func (b *bench) verifySchemas(ctx context.Context, n int) error {
	return b.server.Superuser(ctx, schemaDatabase, func(conn *pgx.Conn) error {
		var created int
		err := conn.QueryRow(ctx, "select count(*) from pg_tables where schemaname ~ '^t[0-9]+$' and tablename in "+
			"('users', 'projects', 'tasks')").Scan(&created)
		if err == nil && created != 3*n {
			err = fmt.Errorf("%d of %d tables exist", created, 3*n)
		}
		return err
	})
}

// schemaFloor is the least that any client could do for the schemas of one database if two runs at once are to be safe:
// it reads the tracker, and all versions in one union; then, for each schema with something pending, it sends one
// message for the lock and the versions, and one for each migration. Workers keep their connections; without reuse,
// each schema gets a connection of its own.
func schemaFloor(ctx context.Context, url string, files []wiretest.FloorFile, concurrency int, reuse bool) error {
	f := &floorRun{url: url, reuse: reuse}
	defer f.close(ctx)
	conn, err := f.take(ctx)
	if err != nil {
		return err
	}
	answers, err := conn.Exec(ctx, "select name, to_regclass(quote_ident(name) || '.schema_migrations') is not null "+
		"from public.schema_tracker order by 1").ReadAll()
	if err != nil {
		return err
	}
	var names, union []string
	for _, row := range answers[0].Rows {
		name := string(row[0])
		names = append(names, name)
		if string(row[1]) == "t" {
			union = append(union, "select '"+name+"', version from "+name+".schema_migrations")
		}
	}
	applied := map[string]int{}
	if reuse && len(union) > 0 {
		if answers, err = conn.Exec(ctx, strings.Join(union, " union all ")).ReadAll(); err != nil {
			return err
		}
		for _, row := range answers[0].Rows {
			applied[string(row[0])]++
		}
	}
	f.give(conn)
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(concurrency)
	for _, name := range names {
		if applied[name] < len(files) {
			g.Go(func() error { return f.migrate(ctx, name, files) })
		}
	}
	return g.Wait()
}

// floorRun is one run of the floor, with its idle connections.
type floorRun struct {
	url   string
	reuse bool

	mu   sync.Mutex
	idle []*pgconn.PgConn
}

func (f *floorRun) take(ctx context.Context) (*pgconn.PgConn, error) {
	f.mu.Lock()
	if n := len(f.idle); n > 0 {
		conn := f.idle[n-1]
		f.idle = f.idle[:n-1]
		f.mu.Unlock()
		return conn, nil
	}
	f.mu.Unlock()
	return pgconn.Connect(ctx, f.url)
}

func (f *floorRun) give(conn *pgconn.PgConn) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.idle = append(f.idle, conn)
}

// close closes the connections concurrently, because each waits for its server.
func (f *floorRun) close(ctx context.Context) {
	var all sync.WaitGroup
	for _, conn := range f.idle {
		all.Go(func() { _ = conn.Close(ctx) })
	}
	all.Wait()
}

func (f *floorRun) migrate(ctx context.Context, name string, files []wiretest.FloorFile) error {
	conn, err := f.take(ctx)
	if err != nil {
		return err
	}
	if f.reuse {
		defer f.give(conn)
	} else {
		defer func() { _ = conn.Close(ctx) }()
	}
	answers,
		err := conn.Exec(ctx,
		"select pg_try_advisory_lock(hashtext('"+name+"')); select version from "+name+".schema_migrations").ReadAll()
	var missing *pgconn.PgError
	if err != nil && (!errors.As(err, &missing) || missing.Code != "42P01") {
		return err
	}
	if missing == nil && len(answers[1].Rows) == len(files) {
		return nil
	}
	create := "create table schema_migrations (version varchar primary key);"
	for i, file := range files {
		end := ""
		if i == len(files)-1 {
			end = "; select pg_advisory_unlock_all()"
		}
		sql := "begin; set local search_path = " + name + ";" + create + file.Up +
			"\n;insert into schema_migrations (version) values ('" + file.Version + "'); commit" + end
		if _, err := conn.Exec(ctx, sql).ReadAll(); err != nil {
			return err
		}
		create = ""
	}
	return nil
}
