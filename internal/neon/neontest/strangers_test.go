package neontest_test

import (
	"context"
	"encoding/json"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/org/neon-tenants-action/internal/neon/neontest"
	"github.com/org/neon-tenants-action/internal/servertest"
)

// TestStrangers lets Neon's own clients use the simulator, and checks its answers against Neon's OpenAPI document,
// which comes with one of them.
func TestStrangers(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: not installing npm packages")
	}
	if _, err := exec.LookPath("npm"); err != nil {
		t.Skip("npm is not installed")
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	dir, err := servertest.InstallNPM(ctx, "neontest", os.DirFS(filepath.Join("testdata", "npm")))
	if err != nil {
		t.Fatal(err)
	}
	document := filepath.Join(dir, "node_modules", "@neondatabase", "api-client", "public-v2-for-users.gen.yaml")
	t.Run("openapi", func(t *testing.T) { checkAgainstDocument(t, document) })
	t.Run("clients", func(t *testing.T) { useClients(t, ctx, dir) })
	t.Run("branches", func(t *testing.T) { branchWithNeonctl(ctx, t, dir) })
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

	// neonctl builds its string from the endpoint's name and Neon's names of role and database. Whether this machine
	// resolves names under localhost does not matter here.
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
