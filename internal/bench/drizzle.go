package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/org/neon-tenants-action/internal/drizzletest"
)

// loopTenants is how many tenants the loop works on, which takes more than a second for each.
const loopTenants = 10

// drizzle compares with what drizzle's users have, over drizzle's own files: its library, for as many tenants at once,
// and its command line in a loop. The floor keeps its versions as dbmate does, which is no less work.
func drizzle(ctx context.Context, b *bench) error {
	if err := drizzletest.Missing(); err != nil {
		fmt.Printf("\nThe section drizzle is left out: %v\n", err)
		return nil
	}
	floor, err := b.floor()
	if err != nil {
		return err
	}
	files := filepath.Join(b.root, "internal", "bench", "testdata", "drizzle")
	ours, err := b.oursOver(files, "--migrations-format", "drizzle")
	if err != nil {
		return err
	}
	contenders := []contender{floor, ours}
	for _, line := range drizzletest.Lines {
		library, stop, err := b.drizzleLibrary(ctx, line, files)
		if err != nil {
			return err
		}
		defer stop()
		contenders = append(contenders, library)
	}
	loop, err := b.drizzleLoop(ctx, files)
	if err != nil {
		return err
	}
	contenders = append(contenders, loop)
	compare := func(l link) error {
		return b.race(ctx, comparison{title: "drizzle, " + l.name, link: l, tenants: b.count(tenantCount),
			concurrency: 16, contenders: contenders, showCPU: l.proxy == nil})
	}
	if err := compare(link{name: "loopback, no TLS"}); err != nil {
		return err
	}
	return b.overDistance(compare)
}

// drizzleLibrary is drizzle-orm's migrate() in one node that has been started before, which does not count.
func (b *bench) drizzleLibrary(ctx context.Context, line drizzletest.Line, files string) (contender, func(), error) {
	packages, err := drizzletest.Install(ctx, line)
	if err != nil {
		return contender{}, nil, err
	}
	if line == drizzletest.Folders {
		if files, err = b.drizzleFolders(files); err != nil {
			return contender{}, nil, err
		}
	}
	node, err := drizzletest.Start(ctx, line, "NODE_EXTRA_CA_CERTS="+b.server.CAFile)
	if err != nil {
		return contender{}, nil, err
	}
	run := func(ctx context.Context, urls []string, concurrency int) (cost, error) {
		before, err := processCPU(node.PID())
		if err != nil {
			return cost{}, err
		}
		took, err := node.Migrate(ctx, drizzletest.Migration{URLs: urls, AtOnce: concurrency, Folder: files})
		if err != nil {
			return cost{}, err
		}
		after, err := processCPU(node.PID())
		return cost{took, after - before}, err
	}
	name := fmt.Sprintf("drizzle-orm %s, one node process", versionIn(packages, "drizzle-orm"))
	stop := func() {
		if err := node.Stop(); err != nil {
			b.progress("%v", err)
		}
	}
	return contender{name: name, rounds: b.slowRounds(), run: run}, stop, nil
}

// drizzleFolders writes the files in the layout of drizzle 1.0, and returns its directory.
func (b *bench) drizzleFolders(files string) (string, error) {
	var journal struct {
		Entries []struct {
			When int64
			Tag  string
		}
	}
	if err := json.Unmarshal([]byte(readText(filepath.Join(files, "meta", "_journal.json"))), &journal); err != nil {
		return "", fmt.Errorf("read drizzle's journal: %w", err)
	}
	dir := filepath.Join(b.dir, "drizzle-folders")
	for _, entry := range journal.Entries {
		folder := filepath.Join(dir, time.UnixMilli(entry.When).UTC().Format("20060102150405")+"_"+entry.Tag)
		text, err := os.ReadFile(filepath.Join(files, entry.Tag+".sql"))
		if err = errors.Join(err, os.MkdirAll(folder, 0o755)); err != nil {
			return "", err
		}
		if err := os.WriteFile(filepath.Join(folder, "migration.sql"), text, 0o600); err != nil {
			return "", err
		}
	}
	return dir, nil
}

// drizzleLoop is `npx drizzle-kit migrate`, one tenant after another, as posts on one database per tenant recommend.
func (b *bench) drizzleLoop(ctx context.Context, files string) (contender, error) {
	packages, err := drizzletest.Install(ctx, drizzletest.Journal)
	if err != nil {
		return contender{}, err
	}
	dir, err := os.MkdirTemp(b.dir, "drizzle-loop-")
	if err != nil {
		return contender{}, err
	}
	err = errors.Join(os.CopyFS(filepath.Join(dir, "drizzle"), os.DirFS(files)),
		os.WriteFile(filepath.Join(dir, "drizzle.config.ts"), []byte(drizzletest.Config), 0o600),
		os.Symlink(filepath.Join(packages, "node_modules"), filepath.Join(dir, "node_modules")))
	if err != nil {
		return contender{}, fmt.Errorf("make a project for drizzle-kit: %w", err)
	}
	run := func(ctx context.Context, urls []string, _ int) (cost, error) {
		var total cost
		for _, url := range urls {
			cmd := exec.CommandContext(ctx, "npx", "drizzle-kit", "migrate")
			cmd.Dir = dir
			cmd.Env = append(os.Environ(), "DATABASE_URL="+url, "NODE_EXTRA_CA_CERTS="+b.server.CAFile,
				"npm_config_update_notifier=false")
			took, err := command(cmd, nil, nil)
			if err != nil {
				return cost{}, err
			}
			total.wall, total.cpu = total.wall+took.wall, total.cpu+took.cpu
		}
		return total, nil
	}
	name := fmt.Sprintf("npx drizzle-kit %s, Node %s, one after another; %d tenants, extrapolated",
		versionIn(packages, "drizzle-kit"), b.output(ctx, ".", "node", "--version"), loopTenants)
	return contender{name: name, rounds: min(b.slowRounds(), sequentialRounds), tenants: loopTenants, run: run}, nil
}

// versionIn is the version of a package in a directory where npm has installed it.
func versionIn(dir, name string) string {
	var p struct{ Version string }
	_ = json.Unmarshal([]byte(readText(filepath.Join(dir, "node_modules", name, "package.json"))), &p) // then it is empty
	return p.Version
}
