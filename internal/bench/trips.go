package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/org/neon-tenants-action/internal/postgres/wiretest"
)

// roundTrips counts what migrating one tenant costs on the wire. A test of internal/migration asserts the same figures.
func roundTrips(ctx context.Context, b *bench) error {
	contenders, err := b.field(ctx, true)
	if err != nil {
		return err
	}
	if err := b.provide(ctx, 1); err != nil {
		return err
	}
	return b.countTrips(ctx,
		"Round trips per tenant, including those of connecting and SCRAM (nothing pending / three pending)",
		contenders, int(tasks), func() error { return b.reset(ctx, 1) })
}

// countTrips prints how many connections and round trips a contender takes for one tenant, without TLS and with it.
// Each contender runs several times in a row; prepare is called before the first. The figures of the last run come
// first.
func (b *bench) countTrips(
	ctx context.Context, title string, contenders []contender, runs int, prepare func() error,
) error {
	proxy, err := wiretest.NewProxy(b.address(), 10*time.Millisecond)
	if err != nil {
		return err
	}
	defer proxy.Close()
	fmt.Printf("\n### %s\n\n", title)
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
			if err := prepare(); err != nil {
				return err
			}
			var trips []string
			for range runs {
				if err := b.settle(ctx); err != nil {
					return err
				}
				proxy.Reset()
				if _, err := one.run(ctx, urls, 1); err != nil {
					return fmt.Errorf("%s: %w", one.name, err)
				}
				seen := proxy.Traffic()
				cells[1] = fmt.Sprint(seen.Connections)
				trips = append([]string{fmt.Sprint(seen.RoundTrips)}, trips...)
			}
			cells = append(cells, strings.Join(trips, " / "))
		}
		fmt.Fprintln(w, "| "+strings.Join(cells, "\t| ")+"\t|")
	}
	return w.Flush()
}
