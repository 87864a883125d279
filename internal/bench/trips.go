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

// tripsWays are the ways to connect that the table has a column for, each with the parameters that choose it. What
// begins TLS directly has to be told, as the server is on this machine; with a public host ours does so by itself.
var tripsWays = []struct{ title, parameters string }{
	{"plain", "sslmode=disable"},
	{"TLS", "sslmode=require"},
	{"TLS begun directly", "sslmode=require&sslnegotiation=direct"},
}

// countTrips prints how many connections and round trips a contender takes for one tenant, without TLS and with it.
// Each contender runs several times in a row; prepare is called before the first. The figures of the last run come
// first.
func (b *bench) countTrips(
	ctx context.Context, title string, contenders []contender, runs int, prepare func() error,
) error {
	address, stop, err := b.directAddress()
	if err != nil {
		return err
	}
	defer stop()
	fmt.Printf("\n### %s\n\n", title)
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 1, ' ', 0)
	fmt.Fprint(w, "| \t| connections")
	for _, way := range tripsWays {
		fmt.Fprint(w, "\t| "+way.title)
	}
	fmt.Fprintln(w, "\t|\n"+strings.Repeat("| ---\t", 2+len(tripsWays))+"|")
	for _, one := range contenders {
		cells := []string{one.name, ""}
		for _, way := range tripsWays {
			to := b.address()
			if strings.Contains(way.parameters, "sslnegotiation=direct") {
				if to = address; !one.direct {
					cells = append(cells, "–")
					continue
				}
			}
			if err := prepare(); err != nil {
				return err
			}
			seen, trips, err := b.tripsOf(ctx, one, to, way.parameters, runs)
			if err != nil {
				return fmt.Errorf("%s: %w", one.name, err)
			}
			cells[1] = fmt.Sprint(seen.Connections)
			cells = append(cells, strings.Join(trips, " / "))
		}
		fmt.Fprintln(w, "| "+strings.Join(cells, "\t| ")+"\t|")
	}
	return w.Flush()
}

// tripsOf counts the round trips of a contender's runs, the last first, and returns the last one's traffic.
func (b *bench) tripsOf(
	ctx context.Context, one contender, address, parameters string, runs int,
) (last wiretest.Traffic, trips []string, err error) {
	proxy, err := wiretest.NewProxy(address, 10*time.Millisecond)
	if err != nil {
		return last, nil, err
	}
	defer proxy.Close()
	urls, err := b.urls(1, link{proxy: proxy})
	if err != nil {
		return last, nil, err
	}
	urls[0] = strings.Replace(urls[0], "sslmode=require", parameters, 1)
	for range runs {
		if err := b.settle(ctx); err != nil {
			return last, nil, err
		}
		proxy.Reset()
		if _, err := one.run(ctx, urls, 1); err != nil {
			return last, nil, err
		}
		last = proxy.Traffic()
		trips = append([]string{fmt.Sprint(last.RoundTrips)}, trips...)
	}
	return last, trips, nil
}

// directAddress is that of a server that takes TLS begun directly: PostgreSQL itself from 17 on, else a stand-in that
// ends TLS in front of it.
func (b *bench) directAddress() (address string, stop func(), err error) {
	if b.server.Version >= 17 {
		return b.address(), func() {}, nil
	}
	front, err := wiretest.NewFront(b.address(), b.server.TLSConfig(), wiretest.Takes)
	if err != nil {
		return "", nil, err
	}
	return front.Address(), front.Close, nil
}
