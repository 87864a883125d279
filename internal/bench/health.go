package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"text/tabwriter"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"golang.org/x/sync/errgroup"
)

// healthConcurrency is the mode's default.
const healthConcurrency = 32

// health compares ways to check that a hundred migrated databases are complete and alike.
func health(ctx context.Context, b *bench) error {
	n := b.count(tenantCount)
	if err := b.provide(ctx, n); err != nil {
		return err
	}
	if err := b.reset(ctx, n); err != nil {
		return err
	}
	migrate, err := b.ours()
	if err != nil {
		return err
	}
	urls, err := b.urls(n, link{})
	if err != nil {
		return err
	}
	if _, err := migrate.run(ctx, urls, healthConcurrency); err != nil {
		return err
	}
	check, err := b.action("health-check", fromSecrets, "--migrations-path", b.migrations, "--required-tables",
		"users,projects,tasks")
	if err != nil {
		return err
	}
	contenders := []contender{
		{name: "floor: connect, one query", direct: true, run: eachURL(oneQuery)},
		{name: "ours", direct: true, run: func(ctx context.Context, urls []string, concurrency int) (cost, error) {
			return inProcess(func() error { return check(ctx, urls, concurrency) })
		}},
		{name: "versions, and pg_dump --schema-only hashed", rounds: 1, run: eachURL(dumpedSchema)},
	}
	if err := b.raceHealth(ctx, link{name: "loopback, no TLS"}, n, contenders); err != nil {
		return err
	}
	if err := b.overDistance(func(l link) error { return b.raceHealth(ctx, l, n, contenders) }); err != nil {
		return err
	}
	return b.countTrips(ctx, "Health, round trips per tenant, including those of connecting and SCRAM",
		contenders, 1, func() error { return nil })
}

// eachURL calls do for every database, several at once.
func eachURL(do func(ctx context.Context, url string) error) func(context.Context, []string, int) (cost, error) {
	return func(ctx context.Context, urls []string, concurrency int) (cost, error) {
		began := time.Now()
		g, ctx := errgroup.WithContext(ctx)
		g.SetLimit(concurrency)
		for _, url := range urls {
			g.Go(func() error { return do(ctx, url) })
		}
		err := g.Wait()
		return cost{wall: time.Since(began)}, err
	}
}

// oneQuery is the least that says anything about a tenant: it reads which versions are recorded.
func oneQuery(ctx context.Context, url string) (err error) {
	conn, err := pgconn.Connect(ctx, url)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close(ctx)) }()
	_, err = conn.Exec(ctx, "select version from schema_migrations").ReadAll()
	return err
}

// dumpedSchema is how scripts tell schemas apart.
func dumpedSchema(ctx context.Context, url string) error {
	if err := oneQuery(ctx, url); err != nil {
		return err
	}
	out, err := exec.CommandContext(ctx, "pg_dump", "--schema-only", "--no-owner", "--no-privileges", "--dbname",
		url).Output()
	if err != nil {
		return fmt.Errorf("pg_dump: %w", err)
	}
	_ = sha256.Sum256(out)
	return nil
}

// raceHealth is [bench.race] for health checks.
func (b *bench) raceHealth(ctx context.Context, l link, n int, contenders []contender) error {
	urls, err := b.urls(n, l)
	if err != nil {
		return err
	}
	costs := make([][]cost, len(contenders))
	for round := range b.rounds {
		for i := range contenders {
			i = (i + round) % len(contenders)
			one := contenders[i]
			if one.rounds > 0 && round >= one.rounds {
				continue
			}
			took, err := b.measure(ctx, one, urls, healthConcurrency)
			if err != nil {
				return fmt.Errorf("%s: %w", one.name, err)
			}
			costs[i] = append(costs[i], took)
			b.progress("health, %s, round %d: %s: %.2f s", l.name, round+1, one.name, took.wall.Seconds())
		}
	}
	fmt.Printf("\n### Health, %s: %d databases, %d at once\n\n", l.name, n, healthConcurrency)
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 1, ' ', 0)
	fmt.Fprint(w, "| \t| n\t| wall, s\t| × floor\t| ours faster by\t|\n| ---\t| ---\t| ---\t| ---\t| ---\t|\n")
	for i, one := range contenders {
		faster := "–"
		if i > 1 {
			faster = fmt.Sprintf("%.1f", ratio(costs[i], costs[1]))
		}
		fmt.Fprintf(w, "| %s\t| %d\t| %s\t| %.2f\t| %s\t|\n", one.name, len(costs[i]), seconds(walls(costs[i])),
			ratio(costs[i], costs[0]), faster)
	}
	return w.Flush()
}
