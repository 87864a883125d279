package main

import (
	"context"
	"fmt"
	"os"
	"text/tabwriter"
	"time"

	"github.com/org/neon-tenants-action/internal/migration"
	"github.com/org/neon-tenants-action/internal/postgres"
	"github.com/org/neon-tenants-action/internal/postgres/wiretest"
)

// watching counts what it costs to watch files while they run, in one database over a distance.
func watching(ctx context.Context, b *bench) error {
	if err := b.provide(ctx, 1); err != nil {
		return err
	}
	files, err := migration.Load(b.migrations, b.migrations, postgres.Dbmate)
	if err != nil {
		return err
	}
	var walls [2][]float64
	var trips [2]int
	err = b.overDistance(func(l link) error {
		for range b.rounds {
			for i, watch := range []bool{false, true} {
				if err := b.reset(ctx, 1); err != nil {
					return err
				}
				took, seen, err := b.watched(ctx, l, files, watch)
				if err != nil {
					return err
				}
				walls[i], trips[i] = append(walls[i], took.Seconds()), seen.RoundTrips
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	fmt.Printf("\n### Watching, %d ms round trip, TLS: one database, three pending, connecting included\n\n",
		distanceRoundTrip.Milliseconds())
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 1, ' ', 0)
	fmt.Fprint(w, "| \t| n\t| wall, s\t| round trips\t|\n| ---\t| ---\t| ---\t| ---\t|\n")
	for i, name := range []string{"not watched", "watched"} {
		fmt.Fprintf(w, "| %s\t| %d\t| %s\t| %d\t|\n", name, len(walls[i]), seconds(walls[i]), trips[i])
	}
	return w.Flush()
}

// watched migrates the first tenant over the link.
func (b *bench) watched(
	ctx context.Context, l link, files *migration.Files, watch bool,
) (time.Duration, wiretest.Traffic, error) {
	urls, err := b.urls(1, l)
	if err != nil {
		return 0, wiretest.Traffic{}, err
	}
	target, err := postgres.ParseTarget(urls[0], false)
	if err != nil {
		return 0, wiretest.Traffic{}, err
	}
	if err := b.settle(ctx); err != nil {
		return 0, wiretest.Traffic{}, err
	}
	l.proxy.Reset()
	began := time.Now()
	conn, err := postgres.Connect(ctx, target, postgres.Options{})
	if err != nil {
		return 0, wiretest.Traffic{}, err
	}
	defer conn.Close()
	o := migration.Options{Watch: watch, LockTimeout: time.Minute}
	if o.Table.Table, err = postgres.ParseTable("schema_migrations"); err != nil {
		return 0, wiretest.Traffic{}, err
	}
	done, err := migration.Migrate(ctx, conn, files, o)
	took := time.Since(began)
	if err == nil && len(done.Applied) != len(files.Versions()) {
		err = fmt.Errorf("%d files were applied", len(done.Applied))
	}
	return took, l.proxy.Traffic(), err
}
