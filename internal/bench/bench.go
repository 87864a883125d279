package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"github.com/org/neon-tenants-action/internal/postgres/pgtest"
	"github.com/org/neon-tenants-action/internal/postgres/wiretest"
	"github.com/org/neon-tenants-action/internal/words"
)

const (
	tenantCount = 100 // in most comparisons
	fewTenants  = 20  // in those with tools that work on one tenant at a time
	// distanceRoundTrip is that between a runner in one region and a database in a neighbouring one.
	distanceRoundTrip = 40 * time.Millisecond
	setupConcurrency  = 16
	tenantPassword    = "p@ss:w/r%d" // needs escaping, as a team's own passwords may, but never Neon's
)

// bench is one run of the benchmarks: a server with tenants, and a directory for programs.
type bench struct {
	options
	root       string // of the checkout
	migrations string // directory of the example's migration files
	dir        string // temporary
	server     *pgtest.Server
	tenants    []string // names of databases, and of the roles that own them
	began      time.Time
}

func newBench(ctx context.Context, o options) (*bench, error) {
	root, err := moduleRoot()
	if err != nil {
		return nil, err
	}
	b := &bench{options: o, root: root, migrations: filepath.Join(root, "migrations", "example"), began: time.Now()}
	if b.dir, err = os.MkdirTemp("", "neon-tenants-bench-"); err != nil {
		return nil, err
	}
	settings := map[string]string{"shared_buffers": "256MB"}
	b.server, err = pgtest.Start(ctx, pgtest.Options{Settings: settings})
	if err != nil {
		b.close()
		return nil, err
	}
	return b, nil
}

func (b *bench) close() {
	var err error
	if b.server != nil {
		err = b.server.Stop()
	}
	if err = errors.Join(err, os.RemoveAll(b.dir)); err != nil {
		fmt.Fprintln(os.Stderr, "bench: clean up:", err)
	}
}

// progress writes to standard error what is going on; the tables go to standard output.
func (b *bench) progress(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "[%4.0fs] %s\n", time.Since(b.began).Seconds(), fmt.Sprintf(format, args...))
}

func (b *bench) address() string {
	return net.JoinHostPort(b.server.Host, strconv.Itoa(b.server.Port))
}

// count returns how many tenants a comparison gets, which is fewer with -short.
func (b *bench) count(tenants int) int {
	if b.short {
		return min(tenants, 24)
	}
	return tenants
}

// provide creates tenants until there are n.
func (b *bench) provide(ctx context.Context, n int) error {
	if len(b.tenants) >= n {
		return nil
	}
	b.progress("creating %s", words.Count(n-len(b.tenants), "database", "databases"))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(setupConcurrency)
	for i := len(b.tenants); i < n; i++ {
		name := fmt.Sprintf("tenant_%04d", i)
		b.tenants = append(b.tenants, name)
		g.Go(func() error {
			_, err := b.server.CreateTenant(ctx, name, tenantPassword, name)
			return err
		})
	}
	return g.Wait()
}

// reset empties the first n tenants of tables and of any tool's bookkeeping.
func (b *bench) reset(ctx context.Context, n int) error {
	return b.eachTenant(ctx, n, func(ctx context.Context, name string) error {
		return b.server.Exec(ctx, name,
			"set client_min_messages = warning; drop schema if exists drizzle cascade; drop schema public cascade; "+
				"create schema public authorization "+pgtest.Identifier(name))
	})
}

// verify returns an error unless the contender that ran has done the work.
func (b *bench) verify(ctx context.Context, n int) error {
	var done atomic.Int64
	err := b.eachTenant(ctx, n, func(ctx context.Context, name string) error {
		return b.server.Superuser(ctx, name, func(conn *pgx.Conn) error {
			var tables int64
			err := conn.QueryRow(ctx, "select count(*) from pg_tables where schemaname = 'public' and tablename in "+
				"('users', 'projects', 'tasks')").Scan(&tables)
			done.Add(tables)
			return err
		})
	})
	if err == nil && done.Load() != int64(3*n) {
		err = fmt.Errorf("%d of %d tables exist", done.Load(), 3*n)
	}
	return err
}

// settle waits until the server has ended all sessions of the contender before, which hold locks and take time to end.
func (b *bench) settle(ctx context.Context) error {
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		var left int
		err := b.server.Superuser(ctx, "postgres", func(conn *pgx.Conn) error {
			return conn.QueryRow(ctx, "select count(*) from pg_stat_activity where datname like 'tenant%'").Scan(&left)
		})
		if err != nil || left == 0 {
			return err
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%d sessions of the previous run have not ended", left)
		}
	}
}

func (b *bench) eachTenant(ctx context.Context, n int, do func(context.Context, string) error) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(setupConcurrency)
	for _, name := range b.tenants[:n] {
		g.Go(func() error { return do(ctx, name) })
	}
	return g.Wait()
}

// link is the network between the contenders and the tenants.
type link struct {
	name  string
	proxy *wiretest.Proxy // nil: a direct connection without TLS
}

// urls returns the connection strings of the first n tenants over the link.
func (b *bench) urls(n int, l link) ([]string, error) {
	var all []string
	for _, name := range b.tenants[:n] {
		u, err := url.Parse(b.server.TenantURL(name, tenantPassword, name))
		if err != nil {
			return nil, errors.New("a tenant's connection string is not a URL")
		}
		// channel_binding is left out for everyone, because not every rival's driver knows it.
		u.RawQuery = "sslmode=disable"
		text := u.String()
		if l.proxy != nil {
			u.RawQuery = "sslmode=require"
			if text, err = l.proxy.URL(u.String()); err != nil {
				return nil, err
			}
		}
		all = append(all, text)
	}
	return all, nil
}

// overDistance calls do with a link of 40 ms with TLS.
func (b *bench) overDistance(do func(link) error) error {
	proxy, err := wiretest.NewProxy(b.address(), distanceRoundTrip)
	if err != nil {
		return err
	}
	defer proxy.Close()
	return do(link{fmt.Sprintf("%d ms round trip, TLS", distanceRoundTrip.Milliseconds()), proxy})
}

// lines returns texts as a program's standard input, one per line.
func lines(texts []string) *strings.Reader {
	return strings.NewReader(strings.Join(texts, "\n") + "\n")
}
