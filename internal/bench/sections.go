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

// slowRounds is how many rounds a rival that takes seconds takes part in.
func (b *bench) slowRounds() int {
	if b.short {
		return 1
	}
	return 3
}

// field is the floor, ours, and the rivals that work on many databases at once.
func (b *bench) field(ctx context.Context, commandLine bool) ([]contender, error) {
	floor, err := b.floor()
	if err != nil {
		return nil, err
	}
	ours, err := b.ours()
	if err != nil {
		return nil, err
	}
	dbmate, err := b.dbmateInProcess(ctx, b.slowRounds())
	if err != nil || !commandLine {
		return []contender{floor, ours, dbmate}, err
	}
	xargs, err := b.xargs(ctx, b.slowRounds())
	return []contender{floor, ours, dbmate, xargs}, err
}

// loopback compares where nothing but CPU costs time.
func loopback(ctx context.Context, b *bench) error {
	return b.bothConcurrencies(ctx, link{name: "loopback, no TLS"})
}

// distance compares where round trips cost time.
func distance(ctx context.Context, b *bench) error {
	return b.overDistance(func(l link) error { return b.bothConcurrencies(ctx, l) })
}

func (b *bench) bothConcurrencies(ctx context.Context, l link) error {
	for _, concurrency := range []int{16, 64} {
		contenders, err := b.field(ctx, concurrency == 16)
		if err != nil {
			return err
		}
		c := comparison{title: l.name, link: l, tenants: b.count(tenantCount), concurrency: concurrency, contenders: contenders, showCPU: l.proxy == nil}
		if err := b.race(ctx, c); err != nil {
			return err
		}
		if b.short {
			break
		}
	}
	return nil
}

// sequentialRounds is how many rounds the ways that take minutes take part in.
const sequentialRounds = 2

// sequential compares with the ways that take one tenant after another.
func sequential(ctx context.Context, b *bench) error {
	if b.short {
		fmt.Println("\nThe ways that take one tenant after another are left out with -short.")
		return nil
	}
	contenders, err := b.field(ctx, false)
	if err != nil {
		return err
	}
	contenders = contenders[:2]
	oneByOne, err := b.oneByOne(ctx, sequentialRounds)
	if err != nil {
		return err
	}
	contenders = append(contenders, oneByOne)
	drizzle, why, err := b.drizzle(ctx, sequentialRounds)
	if err != nil {
		return err
	}
	if why != "" {
		fmt.Println("\n" + why)
	} else {
		contenders = append(contenders, drizzle)
	}
	compare := func(l link) error {
		return b.race(ctx, comparison{title: l.name + ", against one after another", link: l, tenants: fewTenants, concurrency: 16, contenders: contenders})
	}
	if err := compare(link{name: "loopback, no TLS"}); err != nil {
		return err
	}
	return b.overDistance(compare)
}

// roundTrips counts what one tenant costs on the wire. The same figures are asserted by a test of internal/postgres.
func roundTrips(ctx context.Context, b *bench) error {
	contenders, err := b.field(ctx, true)
	if err != nil {
		return err
	}
	if err := b.provide(ctx, 1); err != nil {
		return err
	}
	proxy, err := wiretest.NewProxy(b.address(), 10*time.Millisecond)
	if err != nil {
		return err
	}
	defer proxy.Close()
	fmt.Print("\n### Round trips a tenant, connecting and SCRAM included (nothing pending / three pending)\n\n")
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 1, ' ', 0)
	fmt.Fprint(w, "| \t| connections\t| plain\t| TLS\t|\n| ---\t| ---\t| ---\t| ---\t|\n")
	for _, one := range contenders {
		cells := []string{one.name, ""}
		for _, mode := range []string{"disable", "require"} {
			urls, err := b.urls(1, link{proxy: proxy})
			if err != nil {
				return err
			}
			urls[0] = strings.Replace(urls[0], "sslmode=require", "sslmode="+mode, 1)
			if err := b.reset(ctx, 1); err != nil {
				return err
			}
			var seen [tasks]wiretest.Traffic
			for task := range tasks {
				if err := b.settle(ctx); err != nil {
					return err
				}
				proxy.Reset()
				if _, err := one.run(ctx, urls, 1); err != nil {
					return fmt.Errorf("%s: %w", one.name, err)
				}
				seen[task] = proxy.Traffic()
			}
			cells[1] = fmt.Sprint(seen[nothing].Connections)
			cells = append(cells, fmt.Sprintf("%d / %d", seen[nothing].RoundTrips, seen[apply].RoundTrips))
		}
		fmt.Fprintln(w, "| "+strings.Join(cells, "\t| ")+"\t|")
	}
	return w.Flush()
}
