package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"golang.org/x/sync/errgroup"

	"github.com/org/neon-tenants-action/internal/postgres/wiretest"
)

// healthConcurrency is the mode's own default.
const healthConcurrency = 32

// health compares ways to see whether a hundred migrated databases are all right and alike.
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
	check, err := b.action("health-check", fromSecrets, "--migrations-path", b.migrations, "--required-tables", "users,projects,tasks")
	if err != nil {
		return err
	}
	contenders := []contender{
		{name: "floor: connect, one query", run: eachURL(oneQuery)},
		{name: "ours", run: func(ctx context.Context, urls []string, concurrency int) (cost, error) {
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
	return b.healthTrips(ctx, contenders)
}

// eachURL runs a way on every database, so many at once.
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

// oneQuery is the least that says anything about a tenant: which versions it has.
func oneQuery(ctx context.Context, url string) (err error) {
	conn, err := pgconn.Connect(ctx, url)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close(ctx)) }()
	_, err = conn.Exec(ctx, "select version from schema_migrations").ReadAll()
	return err
}

// dumpedSchema is what scripts do to tell schemas apart.
func dumpedSchema(ctx context.Context, url string) error {
	if err := oneQuery(ctx, url); err != nil {
		return err
	}
	out, err := exec.CommandContext(ctx, "pg_dump", "--schema-only", "--no-owner", "--no-privileges", "--dbname", url).Output()
	if err != nil {
		return fmt.Errorf("pg_dump: %w", err)
	}
	_ = sha256.Sum256(out)
	return nil
}

// raceHealth runs the contenders in turn, and prints ratios taken within a round.
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
		fmt.Fprintf(w, "| %s\t| %d\t| %s\t| %.2f\t| %s\t|\n", one.name, len(costs[i]), seconds(walls(costs[i])), ratio(costs[i], costs[0]), faster)
	}
	return w.Flush()
}

// healthTrips counts what one tenant costs on the wire.
func (b *bench) healthTrips(ctx context.Context, contenders []contender) error {
	proxy, err := wiretest.NewProxy(b.address(), 10*time.Millisecond)
	if err != nil {
		return err
	}
	defer proxy.Close()
	fmt.Print("\n### Health, round trips a tenant, connecting and SCRAM included\n\n")
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 1, ' ', 0)
	fmt.Fprint(w, "| \t| connections\t| plain\t| TLS\t|\n| ---\t| ---\t| ---\t| ---\t|\n")
	for _, one := range contenders {
		cells := []string{one.name, ""}
		for _, sslmode := range []string{"disable", "require"} {
			urls, err := b.urls(1, link{proxy: proxy})
			if err != nil {
				return err
			}
			urls[0] = strings.Replace(urls[0], "sslmode=require", "sslmode="+sslmode, 1)
			if err := b.settle(ctx); err != nil {
				return err
			}
			proxy.Reset()
			if _, err := one.run(ctx, urls, 1); err != nil {
				return fmt.Errorf("%s: %w", one.name, err)
			}
			seen := proxy.Traffic()
			cells[1] = fmt.Sprint(seen.Connections)
			cells = append(cells, fmt.Sprint(seen.RoundTrips))
		}
		fmt.Fprintln(w, "| "+strings.Join(cells, "\t| ")+"\t|")
	}
	return w.Flush()
}
