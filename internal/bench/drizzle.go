package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// drizzle is `npx drizzle-kit migrate`, one tenant after another, as blog posts on one database per tenant recommend.
// why says why it is left out.
func (b *bench) drizzle(ctx context.Context, rounds int) (one contender, why string, err error) {
	if _, err := exec.LookPath("npx"); err != nil {
		return contender{}, "drizzle-kit is left out: this machine has no npm", nil
	}
	dir := filepath.Join(b.dir, "drizzle")
	if _, err := os.Stat(dir); err != nil {
		project := filepath.Join(b.root, "internal", "bench", "testdata", "drizzle")
		if err := os.CopyFS(dir, os.DirFS(project)); err != nil {
			return contender{}, "", fmt.Errorf("copy drizzle's project: %w", err)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "node_modules")); err != nil {
		b.progress("installing drizzle-kit")
		install, cancel := context.WithTimeout(ctx, 5*time.Minute)
		defer cancel()
		cmd := exec.CommandContext(install, "npm", "install", "--no-audit", "--no-fund", "--no-package-lock")
		cmd.Dir = dir
		if _, err := command(cmd, nil, nil); err != nil {
			return contender{}, fmt.Sprintf("drizzle-kit is left out: npm could not install it: %v", err), ctx.Err()
		}
	}
	var project struct{ Dependencies map[string]string }
	if err := json.Unmarshal([]byte(readText(filepath.Join(dir, "package.json"))), &project); err != nil {
		return contender{}, "", fmt.Errorf("read drizzle's package.json: %w", err)
	}
	name := fmt.Sprintf("npx drizzle-kit %s, Node %s, one after another", project.Dependencies["drizzle-kit"],
		b.output(ctx, ".", "node", "--version"))
	return contender{name: name, rounds: rounds, run: func(ctx context.Context, urls []string, _ int) (cost, error) {
		var total cost
		for _, url := range urls {
			cmd := exec.CommandContext(ctx, "npx", "drizzle-kit", "migrate", "--config=drizzle.config.js")
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
	}}, "", nil
}
