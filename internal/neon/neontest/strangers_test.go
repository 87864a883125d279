package neontest_test

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/org/neon-tenants-action/internal/neon/neontest"
)

// TestStrangers lets Neon's own clients use the simulator, and holds its answers against Neon's OpenAPI document, which
// comes with one of them.
func TestStrangers(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: not installing npm packages")
	}
	npm, err := exec.LookPath("npm")
	if err != nil {
		t.Skip("npm is not installed")
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	dir := installed(t, ctx, npm)
	t.Run("openapi", func(t *testing.T) {
		checkAgainstDocument(t, filepath.Join(dir, "node_modules", "@neondatabase", "api-client", "public-v2-for-users.gen.yaml"))
	})
	t.Run("clients", func(t *testing.T) { useClients(t, ctx, dir) })
}

// installed is a folder with the clients and what drives them. It is made once on a machine for each version of the two, because
// installing takes longer than all else here.
func installed(t *testing.T, ctx context.Context, npm string) string {
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = t.TempDir()
	}
	cache = filepath.Join(cache, "neon-tenants-action")
	if err := os.MkdirAll(cache, 0o755); err != nil {
		t.Fatal(err)
	}
	fresh, err := os.MkdirTemp(cache, "making-") //nolint:usetesting // beside the place that it is renamed to
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(fresh) }()
	sum := sha256.New()
	for _, name := range []string{"package.json", "check.js"} {
		content, err := os.ReadFile(filepath.Join("testdata", "npm", name))
		if err != nil {
			t.Fatal(err)
		}
		_, _ = sum.Write(content)
		if err := os.WriteFile(filepath.Join(fresh, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	dir := filepath.Join(cache, fmt.Sprintf("neontest-%x", sum.Sum(nil)[:8]))
	if _, err := os.Stat(dir); err == nil {
		return dir
	}
	install := exec.CommandContext(ctx, npm, "install", "--no-audit", "--no-fund", "--no-package-lock", "--ignore-scripts", "--prefer-offline", "--loglevel=error")
	install.Dir = fresh
	if out, err := install.CombinedOutput(); err != nil {
		t.Fatalf("npm install: %v: %s", err, out)
	}
	// Whole or not at all; where another run was faster, its folder is as good.
	if err := os.Rename(fresh, dir); err != nil && !errors.Is(err, fs.ErrExist) {
		t.Fatal(err)
	}
	return dir
}

func useClients(t *testing.T, ctx context.Context, dir string) {
	s := start(t, neontest.Options{OperationTime: 100 * time.Millisecond})
	fleet(t, s, 3)
	home := t.TempDir()
	check := exec.CommandContext(ctx, "node", "check.js")
	check.Dir = dir
	check.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + home, "XDG_CONFIG_HOME=" + home, "CI=true",
		"NEON_API_HOST=" + s.URL(), "NEON_API_KEY=" + neontest.OrgKey, "NEON_ORG_ID=" + neontest.DefaultOrg,
	}
	var complaints strings.Builder
	check.Stderr = &complaints
	out, err := check.Output()
	if err != nil {
		t.Fatalf("%v\n%s%s", err, out, complaints.String())
	}
	var got struct {
		API     struct{ URI string }
		Neonctl struct{ Created, Connection string }
	}
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	mustQuery(t, got.API.URI, "select 'by the API client'")
	mustQuery(t, got.Neonctl.Created, "select 'by neonctl, as created'")

	// neonctl puts its string together itself, from the endpoint's name and Neon's names of role and database. Whether
	// names under localhost lead here is the machine's affair, so it is not asked.
	config, err := pgx.ParseConfig(got.Neonctl.Connection)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(config.Host, "ep-") || config.User != "neondb_owner" || config.Database != "neondb" {
		t.Errorf("neonctl's connection string is for %s at %s on %s", config.User, config.Host, config.Database)
	}
	config.LookupFunc = func(context.Context, string) ([]string, error) { return []string{"127.0.0.1"}, nil }
	config.DialFunc = (&net.Dialer{}).DialContext
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		t.Fatalf("with neonctl's connection string: %v", err)
	}
	if err := conn.Close(ctx); err != nil {
		t.Error(err)
	}
}
