package drizzletest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Project is a directory in which drizzle-kit works, as its users' repositories are: schema.ts, a configuration and the
// folder drizzle.
type Project struct {
	dir, kit string
}

// Config is a project's drizzle.config.ts. The names of the record are drizzle-kit's own where the environment has
// none.
const Config = `const { DATABASE_URL = "", MIGRATIONS_SCHEMA, MIGRATIONS_TABLE } = process.env;

export default {
  dialect: "postgresql",
  schema: "./schema.ts",
  out: "./drizzle",
  dbCredentials: { url: DATABASE_URL },
  migrations: { schema: MIGRATIONS_SCHEMA ?? "drizzle", table: MIGRATIONS_TABLE ?? "__drizzle_migrations" },
};
`

// NewProject makes a project of a line, without migrations.
func NewProject(t testing.TB, line Line) *Project {
	t.Helper()
	packages := installed(t, line)
	p := &Project{t.TempDir(), kit(packages)}
	if err := os.Symlink(filepath.Join(packages, "node_modules"), filepath.Join(p.dir, "node_modules")); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(p.dir, "drizzle.config.ts"), Config)
	return p
}

// Folder is that of the migrations.
func (p *Project) Folder() string { return filepath.Join(p.dir, "drizzle") }

// Use gives the project a folder, in place of its own.
func (p *Project) Use(t testing.TB, folder string) {
	t.Helper()
	err := os.RemoveAll(p.Folder())
	if err == nil {
		err = os.CopyFS(p.Folder(), os.DirFS(folder))
	}
	if err != nil {
		t.Fatal(err)
	}
}

// Generate runs drizzle-kit generate for a new state of schema.ts.
func (p *Project) Generate(t testing.TB, name, schema string) {
	t.Helper()
	write(t, filepath.Join(p.dir, "schema.ts"), schema)
	p.must(t, "generate", "--name="+name)
}

// Custom runs drizzle-kit generate --custom and writes the file that it makes.
func (p *Project) Custom(t testing.TB, name, sql string) {
	t.Helper()
	p.must(t, "generate", "--custom", "--name="+name)
	made, _ := filepath.Glob(filepath.Join(p.Folder(), "*_"+name+".sql"))
	folder, _ := filepath.Glob(filepath.Join(p.Folder(), "*_"+name, "migration.sql"))
	if made = append(made, folder...); len(made) != 1 {
		t.Fatalf("drizzle-kit generate --custom made %q", made)
	}
	write(t, made[0], sql)
}

// Up runs drizzle-kit up, which takes the folder from the layout of [Journal] to that of [Folders].
func (p *Project) Up(t testing.TB) {
	t.Helper()
	p.must(t, "up")
}

// Migrate runs drizzle-kit migrate and returns what it prints. environment may have MIGRATIONS_SCHEMA and
// MIGRATIONS_TABLE.
func (p *Project) Migrate(t testing.TB, url string, environment ...string) (string, error) {
	t.Helper()
	return p.run("migrate", nil, append(environment, "DATABASE_URL="+plain(t, url))...)
}

func (p *Project) must(t testing.TB, command string, args ...string) {
	t.Helper()
	if said, err := p.run(command, args); err != nil {
		t.Fatalf("drizzle-kit %s: %v: %s", command, err, said)
	}
}

func (p *Project) run(command string, args []string, environment ...string) (string, error) {
	cmd := exec.Command("node", append([]string{p.kit, command, "--config=drizzle.config.ts"}, args...)...)
	cmd.Dir, cmd.Env = p.dir, append(os.Environ(), environment...)
	said, err := cmd.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("drizzle-kit %s: %w", command, err)
	}
	return string(said), err
}

func write(t testing.TB, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
