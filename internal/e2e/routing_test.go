//go:build examples

package e2e

import (
	"bufio"
	"encoding/json"
	"io"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/org/neon-tenants-action/internal/postgres/pgtest"
)

// TestTenantRouting installs examples/tenant-routing from its lock file, runs its tests, and then follows its README:
// the program creates and drops the tenants to which the application leads.
func TestTenantRouting(t *testing.T) {
	if _, err := exec.LookPath("npm"); err != nil {
		t.Fatalf("%v: install Node.js 20 or later, as .ci/install node does", err)
	}
	server, err := pgtest.Start(t.Context(), pgtest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Stop(); err != nil {
			t.Error(err)
		}
	})
	workspace := t.TempDir()
	for _, dir := range []string{"examples/tenant-routing", "migrations/catalog"} {
		copySources(t, filepath.Join(root, dir), filepath.Join(workspace, dir))
	}
	example := filepath.Join(workspace, "examples", "tenant-routing")
	npm := func(args ...string) {
		t.Helper()
		cmd := exec.Command("npm", args...)
		cmd.Dir, cmd.Stdout, cmd.Stderr = example, os.Stdout, os.Stderr
		cmd.Env = append(os.Environ(), "TEST_DATABASE_URL="+verified(server, server.URL("postgres")))
		if err := cmd.Run(); err != nil {
			t.Fatalf("npm %s: %v", strings.Join(args, " "), err)
		}
	}
	npm("ci", "--prefer-offline", "--no-audit", "--no-fund")
	npm("run", "build")
	t.Run("its own tests", func(*testing.T) { npm("test") })
	t.Run("its README", func(t *testing.T) { followReadme(t, server, workspace, example) })
}

// followReadme takes a customer from the sign-up to the end of its tenant.
func followReadme(t *testing.T, server *pgtest.Server, workspace, example string) {
	t.Helper()
	pgtest.Do(t, server.URL("postgres"), "create database catalog")
	catalog := server.URL("catalog")
	program := filepath.Join(t.TempDir(), "program")
	if out, err := exec.Command("go", "build", "-o", program, root).CombinedOutput(); err != nil {
		t.Fatalf("build the program: %v\n%s", err, out)
	}
	const migrations = "examples/tenant-routing/db/migrations"
	run := func(args ...string) error {
		cmd := exec.Command(program, args...)
		cmd.Dir, cmd.Stdout, cmd.Stderr = workspace, os.Stdout, os.Stderr
		cmd.Env = append(surroundings("NEON_TENANTS_"), "NEON_TENANTS_TENANT_SOURCE=catalog",
			"NEON_TENANTS_DATABASE_URL="+catalog, "NEON_TENANTS_CATALOG_URL="+catalog,
			"NEON_TENANTS_MIGRATIONS_PATH="+migrations)
		return cmd.Run()
	}
	must := func(args ...string) {
		t.Helper()
		if err := run(args...); err != nil {
			t.Fatalf("%s: %v", strings.Join(args, " "), err)
		}
	}
	signUp := func(name string) string {
		return pgtest.Ask(t, catalog, "insert into customer (name) values ("+pgtest.Literal(name)+
			") returning customer_id::text")[0]
	}
	link := func(customer string) {
		pgtest.Do(t, catalog, "update project set customer_id = '"+customer+"' where database = 'acme'")
	}

	must("--mode=migrate", "--min-tenants=0", "--allow-empty=true")
	role, err := os.ReadFile(filepath.Join(example, "db", "app_role.sql"))
	if err != nil {
		t.Fatal(err)
	}
	pgtest.Do(t, catalog, string(role)+"; alter role routing_app password 'routing'")
	customer, other := signUp("ACME Corp"), signUp("Globex")

	issuer := startNode(t, example, []string{"PORT=0"}, "dist/test/issue.js", customer, other)
	variables := append(strings.Fields(issuer.line(t)), "PORT=0",
		"CATALOG_DATABASE_URL="+verified(server, server.TenantURL("routing_app", "routing", "catalog")))
	token, otherToken := issuer.line(t), issuer.line(t)
	app := startNode(t, example, variables, "dist/src/main.js")
	_, port, _ := strings.Cut(app.line(t), "listening on port ")
	wants := func(method, token string, status int, body string) {
		t.Helper()
		got, header, text := ask(t, method, "http://127.0.0.1:"+port+"/organizations/"+customer+"/notes", token)
		if got != status || !strings.Contains(text, body) || (header.Get("Retry-After") != "") != (status == 503) {
			t.Errorf("%s: %d %v %s, want %d %s", method, got, header, text, status, body)
		}
	}

	wants("GET", token, 503, "being set up")
	broken := filepath.Join(workspace, migrations, "20260101090100_broken.sql")
	if err := os.WriteFile(broken, []byte("-- migrate:up\nselect 1/0;\n-- migrate:down\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if run("--mode=create-tenant", "--tenant-name=acme") == nil {
		t.Error("a migration that fails creates a tenant")
	}
	wants("GET", token, 503, "being set up") // its database exists
	if err := os.Remove(broken); err != nil {
		t.Fatal(err)
	}
	must("--mode=create-tenant", "--tenant-name=acme")
	wants("GET", token, 503, "being set up") // nobody has said whose it is
	link(customer)
	wants("GET", token, 200, "[]")
	wants("POST", token, 201, "a note")
	wants("GET", token, 200, "a note")
	wants("GET", otherToken, 403, "")

	must("--mode=drop-tenant", "--tenant-name=acme", "--confirm=acme", "--without-backup=true")
	wants("GET", token, 403, "")
	must("--mode=create-tenant", "--tenant-name=acme") // for somebody else
	wants("GET", token, 503, "being set up")
	link(other)
	wants("GET", token, 503, "being set up")
}

// verified is a connection string of the server with which node-postgres verifies its certificate.
func verified(server *pgtest.Server, url string) string {
	url, _, _ = strings.Cut(url, "?")
	return url + "?sslmode=verify-full&sslrootcert=" + server.CAFile
}

// ask sends a request with a token, and a note if it is a POST.
func ask(t *testing.T, method, url, token string) (status int, header http.Header, body string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(`{"text": "a note"}`))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+token)
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	if !json.Valid(text) {
		t.Errorf("%s %s: not JSON: %s", method, url, text)
	}
	return response.StatusCode, response.Header, string(text)
}

// node is a running program of Node.js, and what it writes, line by line.
type node struct{ lines *bufio.Scanner }

// startNode starts a script, and ends it with the test; it must end well.
func startNode(t *testing.T, dir string, env []string, args ...string) node {
	t.Helper()
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("node", args...)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = dir, append(os.Environ(), env...), write, write
	err = cmd.Start()
	_ = write.Close() // the process has its own
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		rest, _ := io.ReadAll(read)
		_ = cmd.Wait()
		_ = read.Close()
		if t.Failed() {
			t.Logf("%s wrote:\n%s", args[0], rest)
		}
	})
	return node{bufio.NewScanner(read)}
}

// line waits for the next line.
func (n node) line(t *testing.T) string {
	t.Helper()
	if !n.lines.Scan() {
		t.Fatal("the program ended")
	}
	return n.lines.Text()
}

// copySources copies a directory without what is made in it.
func copySources(t *testing.T, from, to string) {
	t.Helper()
	err := filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		switch {
		case entry.Name() == "node_modules" || entry.Name() == "dist":
			return fs.SkipDir
		case entry.IsDir():
			return os.MkdirAll(filepath.Join(to, name), 0o755)
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(to, name), data, 0o600)
	})
	if err != nil {
		t.Fatal(err)
	}
}
