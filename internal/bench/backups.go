package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/org/neon-tenants-action/internal/bucket/buckettest"
	"github.com/org/neon-tenants-action/internal/github/githubtest"
	"github.com/org/neon-tenants-action/internal/neon/neontest"
	"github.com/org/neon-tenants-action/internal/postgres/pgtest"
)

const (
	backupBucket      = "backups"
	backupConcurrency = 8 // databases at once, for every way that can
	largeDump         = 1_000 << 20
	smallDump         = 5 << 20
	smallCount        = 50
)

// backupLarge backs up one large database.
func backupLarge(ctx context.Context, b *bench) error {
	size := int64(largeDump)
	if b.short {
		size = 100 << 20
	}
	return b.backUp(ctx, "tenant_backup_large", size, 1)
}

// backupFleet backs up many small databases.
func backupFleet(ctx context.Context, b *bench) error {
	count := smallCount
	if b.short {
		count = 12
	}
	return b.backUp(ctx, "tenant_backup_small", smallDump, count)
}

// backUp creates databases with dumps of that size, races the ways over them, and drops them.
func (b *bench) backUp(ctx context.Context, name string, size int64, count int) (err error) {
	if _, err := buckettest.Find(); err != nil {
		fmt.Printf("\nBacking up is left out: %v\n", err)
		return nil
	}
	s, err := b.newBackupSite(ctx, name, size, count)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	ways, missing, err := s.ways(ctx)
	if err != nil {
		return err
	}
	return s.race(ctx, ways, missing)
}

// backupSite is what is backed up, and to where.
type backupSite struct {
	*bench
	role      string
	databases []string
	size      int64  // of one dump, approximately
	files     string // directory for the ways that need files
	store     *buckettest.Server
	issuer    *githubtest.Issuer
	neon      *neontest.Server
	api       *httptest.Server
}

func (b *bench) newBackupSite(ctx context.Context, name string, size int64, count int) (s *backupSite, err error) {
	s = &backupSite{bench: b, role: name, size: size, files: filepath.Join(b.dir, name)}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	if s.issuer, err = githubtest.StartIssuer(githubtest.IssuerOptions{}); err != nil {
		return s, err
	}
	if s.store, err = buckettest.Start(ctx, buckettest.Options{Issuer: s.issuer.URL}); err != nil {
		return s, err
	}
	if err = s.store.CreateBucket(ctx, backupBucket, false); err != nil {
		return s, err
	}
	b.progress("filling a database of %d MiB, %d times", size>>20, count)
	if _, err = b.server.CreateTenant(ctx, name, tenantPassword, name); err != nil {
		return s, err
	}
	s.databases = []string{name}
	if err = b.fillDatabase(ctx, name, name, size); err != nil {
		return s, err
	}
	for i := 1; i < count; i++ {
		next := fmt.Sprintf("%s_%02d", name, i)
		if err = b.server.CreateDatabase(ctx, next, name, name); err != nil {
			return s, err
		}
		s.databases = append(s.databases, next)
	}
	return s, s.startNeon(ctx)
}

// startNeon lists the databases as Neon projects. Their connection strings lead to the server itself rather than
// through the simulator's proxy, which would take CPU time at the expense of our way alone.
func (s *backupSite) startNeon(ctx context.Context) (err error) {
	if s.neon, err = neontest.New(s.server, neontest.Options{}); err != nil {
		return err
	}
	urls := map[string]string{}
	for i, database := range s.databases {
		url := s.server.TenantURL(s.role, tenantPassword, database)
		projects, err := s.neon.AddProjects(ctx, neontest.Spec{Name: fmt.Sprintf("customer-%02d", i),
			SharedDatabase: url})
		if err != nil {
			return err
		}
		plain, _, _ := strings.Cut(url, "?")
		urls[projects[0].ID] = plain + "?sslmode=disable"
	}
	s.api = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		project, asked := strings.CutSuffix(strings.TrimPrefix(r.URL.Path, neontest.BasePath+"/projects/"),
			"/connection_uri")
		if !asked {
			s.neon.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"uri": %q}`, urls[project])
	}))
	return nil
}

func (s *backupSite) close() error {
	var errs []error
	if s.api != nil {
		s.api.Close()
	}
	if s.neon != nil {
		errs = append(errs, s.neon.Close())
	}
	if s.store != nil {
		errs = append(errs, s.store.Stop())
	}
	if s.issuer != nil {
		errs = append(errs, s.issuer.Close())
	}
	for _, database := range s.databases {
		errs = append(errs, s.server.Exec(context.Background(), "postgres",
			"drop database "+pgtest.Identifier(database)+" with (force)"))
	}
	return errors.Join(errs...)
}

// backupCost is what one run took.
type backupCost struct {
	cost
	servers serversCPU
	peakKiB int   // of the program's resident memory; 0: not measured
	stored  int64 // bytes of backups in the bucket
}

// race is [bench.race] for backups. They take long, so if it is interrupted after the first round, it prints what it
// has.
func (s *backupSite) race(ctx context.Context, ways []backupWay, missing []string) error {
	costs := make([][]backupCost, len(ways))
	for round := range s.rounds {
		for i := range ways {
			i = (i + round) % len(ways)
			if way := ways[i]; way.rounds == 0 || round < way.rounds {
				took, err := s.measure(ctx, way)
				if ctx.Err() != nil && round > 0 {
					s.print(ways, costs, missing)
				}
				if err != nil {
					return fmt.Errorf("%s: %w", way.name, err)
				}
				costs[i] = append(costs[i], took)
				s.progress("%d databases, round %d: %s: %.2f s, CPU %.2f s, PostgreSQL's %.2f s, the store's %.2f s, "+
					"%.1f MB, load %s", len(s.databases), round+1, way.name, took.wall.Seconds(), took.cpu.Seconds(),
					took.servers.database.Seconds(), took.servers.store.Seconds(), float64(took.stored)/1e6, load())
			}
		}
	}
	s.print(ways, costs, missing)
	return nil
}

func (s *backupSite) measure(ctx context.Context, way backupWay) (backupCost, error) {
	before, err := s.serversCPU(ctx)
	if err != nil {
		return backupCost{}, err
	}
	if err := os.MkdirAll(s.files, 0o700); err != nil {
		return backupCost{}, err
	}
	defer func() { _ = os.RemoveAll(s.files) }()
	cmd := way.command(ctx)
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	ended, peak := make(chan struct{}), make(chan int, 1)
	began := time.Now()
	if err := cmd.Start(); err != nil {
		return backupCost{}, err
	}
	if way.oneProcess {
		go func() { peak <- peakMemory(cmd.Process.Pid, ended) }()
	} else {
		peak <- 0
	}
	err = cmd.Wait()
	took := backupCost{cost: cost{wall: time.Since(began),
		cpu: cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()}}
	close(ended)
	took.peakKiB = <-peak
	if err != nil {
		const shown = 4000
		return took, fmt.Errorf("%w: %s", err, said.Bytes()[max(0, said.Len()-shown):])
	}
	after, err := s.serversCPU(ctx)
	if err != nil {
		return took, err
	}
	took.servers = after.since(before)
	backups, bytes, err := s.emptyBucket(ctx)
	if err == nil && way.uploads && backups != len(s.databases) {
		err = fmt.Errorf("the bucket has %d backups of %d databases: %s", backups, len(s.databases), said.String())
	}
	took.stored = bytes
	return took, err
}

// emptyBucket counts the backups and deletes them with their manifests.
func (s *backupSite) emptyBucket(ctx context.Context) (backups int, bytes int64, err error) {
	pages := s3.NewListObjectsV2Paginator(s.store.Client(), &s3.ListObjectsV2Input{Bucket: aws.String(backupBucket)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return 0, 0, err
		}
		for _, o := range page.Contents {
			if !strings.HasSuffix(*o.Key, ".json") {
				backups, bytes = backups+1, bytes+aws.ToInt64(o.Size)
			}
			if _, err := s.store.Client().DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: aws.String(backupBucket),
				Key: o.Key}); err != nil {
				return 0, 0, err
			}
		}
	}
	return backups, bytes, nil
}

// load returns the load average of the last minute.
func load() string {
	text, _, _ := strings.Cut(readText("/proc/loadavg"), " ")
	return text
}

func plainCosts(costs []backupCost) (all []cost) {
	for _, c := range costs {
		all = append(all, c.cost)
	}
	return all
}
