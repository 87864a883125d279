package drizzletest_test

import (
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/org/neon-tenants-action/internal/drizzletest"
	"github.com/org/neon-tenants-action/internal/servertest"
)

// Half a minute of drizzle-kit would tell little: its versions are pinned.
var (
	update  = flag.Bool("update", false, "generate the folders anew with drizzle-kit")
	compare = flag.Bool("compare", false, "compare the folders with what drizzle-kit generates now")
)

// backfill is a migration by hand, as drizzle-kit generate --custom asks for.
const backfill = `-- Custom SQL migration file, put your code below! --
CREATE FUNCTION "touch"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  NEW.name := coalesce(NEW.name, '-- ; none');
  RETURN NEW;
END
$$;
--> statement-breakpoint
INSERT INTO "users" ("email") VALUES ('first@example.com'), ('it''s; second');
`

// TestGenerated compares the folders that tests use with what drizzle-kit makes now of the same schemas.
func TestGenerated(t *testing.T) {
	onRequest(t)
	for _, line := range drizzletest.Lines {
		t.Run(string(line), func(t *testing.T) {
			t.Parallel()
			shop := drizzletest.NewProject(t, line)
			shop.Generate(t, "first", schema(t, "shop1"))
			shop.Custom(t, "second", backfill)
			shop.Generate(t, "third", schema(t, "shop2"))
			check(t, shop, string(line)+"/shop")
			for name, states := range map[string][]string{"public": {"public1"}, "tenant": {"tenant1", "tenant2"}} {
				p := drizzletest.NewProject(t, line)
				for _, state := range states {
					p.Generate(t, state, schema(t, state))
				}
				check(t, p, string(line)+"/"+name)
			}
		})
	}
}

// TestUpgraded compares what drizzle-kit up makes of a folder.
func TestUpgraded(t *testing.T) {
	onRequest(t)
	p := drizzletest.NewProject(t, drizzletest.Folders)
	p.Use(t, drizzletest.Generated(t, "journal/shop"))
	p.Up(t)
	check(t, p, "upgraded/shop")
}

func onRequest(t *testing.T) {
	t.Helper()
	if !*update && !*compare {
		t.Skip("drizzle-kit generates only with -compare or -update")
	}
}

func schema(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("schemas", name+".ts"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// check compares a project's folder with a generated one, without times and random ids.
func check(t *testing.T, p *drizzletest.Project, name string) {
	t.Helper()
	kept := filepath.Join("generated", filepath.FromSlash(name))
	if *update {
		err := os.RemoveAll(kept)
		if err == nil {
			err = os.CopyFS(kept, os.DirFS(p.Folder()))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	servertest.Equal(t, name, content(t, p.Folder()), content(t, kept))
}

// chance is what differs between two runs of drizzle-kit.
var chance = regexp.MustCompile(`\b20\d{12}\b|"when": \d+|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|\b20\d{12}`)

func content(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := os.ReadFile(name)
		all[chance.ReplaceAllString(name[len(dir):], "*")] = chance.ReplaceAllString(string(text), "*")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}
