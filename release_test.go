package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// clone is a repository of its own with the parts that a release reads, and a remote.
type clone struct {
	*testing.T
	dir string
}

func newClone(t *testing.T) clone {
	t.Helper()
	c := clone{t, t.TempDir()}
	script, err := os.ReadFile(".ci/release")
	if err != nil {
		t.Fatal(err)
	}
	c.git("init", "--quiet", "--initial-branch=main")
	c.write(".ci/release", string(script))
	c.write("action.yml", read(t, "action.yml"))
	c.write("CHANGELOG.md", "# Changelog\n\n## 1.4.2\n\n- Repaired.\n\n## 1.4.1\n\n- First.\n\n"+
		"## 1.3.9\n\n- Old line.\n\n## 2.0.0\n\n## 1.0.0\n\n- Begun.\n")
	c.commit("a commit of main")
	origin := t.TempDir()
	c.git("init", "--quiet", "--bare", origin)
	c.git("remote", "add", "origin", origin)
	c.git("push", "--quiet", "origin", "main")
	return c
}

func (c clone) write(name, text string) {
	c.Helper()
	path := filepath.Join(c.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		c.Fatal(err)
	}
	mode := os.FileMode(0o644)
	if strings.HasPrefix(text, "#!") {
		mode = 0o755
	}
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		c.Fatal(err)
	}
}

func (c clone) commit(message string) {
	c.Helper()
	c.git("add", "--all")
	c.git("-c", "user.name=A", "-c", "user.email=a@example.com", "commit", "--quiet", "--message", message)
}

func (c clone) git(args ...string) string {
	c.Helper()
	out, err := c.command("git", args...)
	if err != nil {
		c.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(out)
}

func (c clone) release(args ...string) (string, error) { return c.command(".ci/release", args...) }

func (c clone) command(name string, args ...string) (string, error) {
	cmd := exec.Command(name, args...)
	cmd.Dir = c.dir
	if strings.Contains(name, "/") {
		cmd.Path = filepath.Join(c.dir, name)
	}
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null")
	out, err := cmd.CombinedOutput()
	return string(out), err
}

const image = "ghcr.io/org/neon-tenants-action@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

func TestRelease(t *testing.T) {
	c := newClone(t)
	released := c.git("rev-parse", "HEAD")
	notes, err := c.release("check", "1.4.1")
	if err != nil || strings.TrimSpace(notes) != "- First." {
		t.Fatalf("%v: %q", err, notes)
	}
	for _, step := range []struct{ version, tags string }{
		{"1.4.1", "v1.4.1\nv1.4\nv1\n"},
		{"1.3.9", "v1.3.9\nv1.3\n"}, // a repair of an older line
		{"1.4.2", "v1.4.2\nv1.4\nv1\n"},
	} {
		c.git("checkout", "--quiet", "main")
		if tags, err := c.release("tag", step.version, image); err != nil || tags != step.tags {
			t.Fatalf("%s: %v, tags %q", step.version, err, tags)
		}
		c.git("push", "--quiet", "--force", "origin", "--tags")
		c.git("reset", "--quiet", "--hard", released)
	}
	for tag, same := range map[string]string{"v1": "v1.4.2", "v1.4": "v1.4.2", "v1.3": "v1.3.9"} {
		if c.git("rev-parse", tag) != c.git("rev-parse", same) {
			t.Errorf("%s is not %s", tag, same)
		}
	}
	if got := c.git("show", "v1.4.2:action.yml"); !strings.Contains(got, "\n  image: docker://"+image+"\n") {
		t.Errorf("action.yml does not name the image:\n%s", got)
	}
	want := "v1.4.2 is " + released + " with the image " + image + "\n"
	if said, err := c.release("verify", "v1.4.2"); err != nil || said != want {
		t.Errorf("%v: %s", err, said)
	}
}

func TestReleaseRefuses(t *testing.T) {
	c := newClone(t)
	refuses := func(says string, args ...string) {
		t.Helper()
		if said, err := c.release(args...); err == nil || !strings.Contains(said, says) {
			t.Errorf("%q: %v, %s, want %q", args, err, said, says)
		}
	}
	refuses("is no version", "check", "v1.4.2")
	refuses("is no version", "check", "1.4")
	refuses("is no version", "check", "1.4.02")
	refuses(`there is no section "## 1.5.0"`, "check", "1.5.0")
	refuses(`there is no section "## 2.0.0" with anything in it`, "check", "2.0.0")
	refuses("is no image with a digest", "tag", "1.4.2", "ghcr.io/org/neon-tenants-action:v1.4.2")
	refuses("is no image with a digest", "tag", "1.4.2", "")
	refuses(".ci/release verify TAG", "publish")
	c.git("tag", "v1.4.2")
	refuses("the tag v1.4.2 exists", "check", "1.4.2")
	c.write("main.go", "package main\n")
	c.commit("not on main yet")
	refuses("HEAD is not on main", "check", "1.4.1")

	// Tags that nobody should trust.
	c.git("reset", "--quiet", "--hard", "origin/main")
	if said, err := c.release("tag", "1.0.0", image); err != nil {
		t.Fatal(err, said)
	}
	c.write("main.go", "package main\n")
	c.git("add", "--all")
	c.git("-c", "user.name=A", "-c", "user.email=a@example.com", "commit", "--quiet", "--amend", "--no-edit")
	c.git("tag", "--force", "v1.0.0")
	refuses("changes more than the image", "verify", "v1.0.0")
	c.git("reset", "--quiet", "--hard", "origin/main")
	c.write("action.yml", strings.Replace(read(t, "action.yml"), "  image: Dockerfile",
		"  image: docker://"+image+"\n++evil: 1", 1))
	c.commit("a line that looks like a diff's")
	refuses("changes more than the image", "verify", "HEAD")
	c.git("reset", "--quiet", "--hard", "v1.0.0")
	c.write("empty.go", "package main\n")
	c.commit("one more")
	refuses("the parent of HEAD is not on main", "verify", "HEAD")
	refuses(`there is no line "  image: Dockerfile" to change`, "tag", "1.0.1", image)
}
