package workspace

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// places are a workspace with a directory, a file, and links that lead out of it and to nothing.
func places(t *testing.T) (root, outside string) {
	t.Helper()
	base := t.TempDir()
	root, outside = filepath.Join(base, "work"), filepath.Join(base, "outside")
	for _, dir := range []string{root, outside, filepath.Join(root, "dir")} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, file := range []string{filepath.Join(root, "old.json"), filepath.Join(outside, "secret")} {
		if err := os.WriteFile(file, []byte("before"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for link, to := range map[string]string{
		"out": outside, "up": "../outside", "secret": filepath.Join(outside, "secret"), "dangling": "nowhere",
		"inside": "dir", "tmp": "/tmp",
	} {
		if err := os.Symlink(to, filepath.Join(root, link)); err != nil {
			t.Fatal(err)
		}
	}
	return root, outside
}

// holds checks what a file holds, "" if there must be none.
func holds(t *testing.T, path, want string) {
	t.Helper()
	data, err := os.ReadFile(path)
	if string(data) != want || (err != nil) != (want == "") {
		t.Errorf("%s holds %q, %v, want %q", path, data, err, want)
	}
}

func TestWrite(t *testing.T) {
	for _, path := range []string{"new.json", "./a/../b/c/new.json", "old.json", "dir/new.json", "inside/new.json",
		"..x"} {
		root, _ := places(t)
		for _, given := range []string{path, filepath.Join(root, path)} {
			f, err := Workspace{Root: root, Confined: true}.File(given)
			if err != nil {
				t.Errorf("%s: %v", given, err)
				continue
			}
			if err := f.Write([]byte("after")); err != nil {
				t.Errorf("%s: %v", given, err)
			}
			holds(t, filepath.Join(root, path), "after")
			if data, err := f.Read(); string(data) != "after" || err != nil {
				t.Errorf("%s: read %q, %v", given, data, err)
			}
			info, err := os.Stat(filepath.Join(root, path))
			if want := map[bool]fs.FileMode{true: 0o600, false: 0o644}[path == "old.json"]; err != nil || info.Mode() != want {
				t.Errorf("%s: %v, %v", given, info.Mode(), err)
			}
			beside, err := filepath.Glob(filepath.Join(root, filepath.Dir(path), ".*tmp"))
			if len(beside) > 0 || err != nil {
				t.Errorf("%s: left %v, %v", given, beside, err)
			}
		}
	}
}

// What could not be written whole leaves what was there.
func TestStreamThatBreaks(t *testing.T) {
	root, _ := places(t)
	broken := errors.New("no more")
	for path, before := range map[string]string{"old.json": "before", "new.json": ""} {
		f, err := Workspace{Root: root, Confined: true}.File(path)
		if err != nil {
			t.Fatal(err)
		}
		err = f.Stream(func(w io.Writer) error {
			_, _ = io.WriteString(w, "a part")
			return broken
		})
		if !errors.Is(err, broken) {
			t.Errorf("%s: %v", path, err)
		}
		holds(t, filepath.Join(root, path), before)
	}
	if beside, err := filepath.Glob(filepath.Join(root, ".*tmp")); len(beside) > 0 || err != nil {
		t.Errorf("left %v, %v", beside, err)
	}
}

func TestNothingIsWrittenOutside(t *testing.T) {
	for path, atOnce := range map[string]bool{
		"../outside/new.json": true, "dir/../../outside/new.json": true, "..": true, "/new.json": true, "/": true,
		"out/new.json": false, "up/new.json": false, "out/a/b/new.json": false, "tmp/new.json": false,
		"dangling/new.json": false,
		"old.json/new.json": false, "dir": false, ".": false, "": false,
	} {
		root, outside := places(t)
		f, err := Workspace{Root: root, Confined: true}.File(path)
		if errors.Is(err, ErrOutside) != atOnce || err != nil && !f.Zero() {
			t.Errorf("%s: %v", path, err)
		}
		if err != nil {
			continue
		}
		err = f.Write([]byte("after"))
		if err == nil || (path[:min(2, len(path))] == "ou" || path[:min(2, len(path))] == "up") &&
			!errors.Is(err, ErrOutside) {
			t.Errorf("%s: %v", path, err)
		}
		if entries, err := os.ReadDir(outside); err != nil || len(entries) != 1 {
			t.Errorf("%s: outside are %v, %v", path, entries, err)
		}
	}
	root, outside := places(t)
	for _, link := range []string{"secret", "dangling"} {
		f, err := Workspace{Root: root, Confined: true}.File(link)
		if err != nil {
			t.Fatal(err)
		}
		if data, err := f.Read(); err == nil {
			t.Errorf("%s: read %q", link, data)
		}
		if err := f.Write([]byte("after")); err != nil { // the link gives way to a file
			t.Errorf("%s: %v", link, err)
		}
		holds(t, filepath.Join(root, link), "after")
	}
	holds(t, filepath.Join(outside, "secret"), "before")
	holds(t, filepath.Join(root, "nowhere"), "")
}

// From a shell, only a relative path is held to the workspace, and to none if there is none.
func TestFromAShell(t *testing.T) {
	root, outside := places(t)
	target := filepath.Join(outside, "a", "b", "new.json")
	f, err := Workspace{Root: root}.File(target)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Write([]byte("after")); err != nil {
		t.Error(err)
	}
	holds(t, target, "after")
	if _, err := (Workspace{Root: root}).File("../x.json"); !errors.Is(err, ErrOutside) {
		t.Errorf("a relative path: %v", err)
	}
	t.Chdir(filepath.Join(root, "dir"))
	f, err = Workspace{}.File("../../outside/other.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Write([]byte("after")); err != nil {
		t.Error(err)
	}
	holds(t, filepath.Join(outside, "other.json"), "after")
	if _, err := (Workspace{Confined: true}).File("../x.json"); !errors.Is(err, ErrOutside) {
		t.Errorf("inside Actions, without a workspace: %v", err)
	}
}

// A directory that becomes a link between a look and a write leads nowhere.
func TestADirectoryThatBecomesALink(t *testing.T) {
	root, outside := places(t)
	f, err := Workspace{Root: root, Confined: true}.File("swapped/new.json")
	if err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	var swapping sync.WaitGroup
	swapping.Go(func() {
		swapped := filepath.Join(root, "swapped")
		for {
			select {
			case <-stop:
				return
			default:
			}
			_ = os.RemoveAll(swapped)
			_ = os.Symlink(outside, swapped)
			_ = os.Remove(swapped)
			_ = os.Mkdir(swapped, 0o755)
		}
	})
	for range 300 {
		_ = f.Write([]byte("after")) // whether it succeeds is a matter of luck
	}
	close(stop)
	swapping.Wait()
	if entries, err := os.ReadDir(outside); err != nil || len(entries) != 1 {
		t.Errorf("outside are %v, %v", entries, err)
	}
}

// What root makes belongs to whom the directory belongs to.
func TestOwners(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give files away")
	}
	const runner, docker, other = 12345, 23456, 34567
	root, _ := places(t)
	for path, ids := range map[string][2]int{"": {runner, docker}, "dir": {other, docker}, "old.json": {other, other}} {
		if err := os.Chown(filepath.Join(root, path), ids[0], ids[1]); err != nil {
			t.Fatal(err)
		}
	}
	for _, path := range []string{"new.json", "a/b/new.json", "dir/new.json", "old.json"} {
		f, err := Workspace{Root: root, Confined: true}.File(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := f.Write([]byte("after")); err != nil {
			t.Error(err)
		}
	}
	for path, want := range map[string][2]int{
		"new.json": {runner, docker}, "a": {runner, docker}, "a/b": {runner, docker}, "a/b/new.json": {runner, docker},
		"dir": {other, docker}, "dir/new.json": {other, docker}, "old.json": {other, other},
	} {
		info, err := os.Lstat(filepath.Join(root, path))
		if err != nil {
			t.Error(err)
			continue
		}
		stat := info.Sys().(*syscall.Stat_t)
		if got := [2]int{int(stat.Uid), int(stat.Gid)}; got != want {
			t.Errorf("%s belongs to %v, want %v", path, got, want)
		}
	}
}

// What is no file is never replaced by one: a device or a pipe that the user names is written to, and anything else is
// refused.
func TestWhatIsNoFileIsNotReplaced(t *testing.T) {
	root, _ := places(t)
	pipe, link := filepath.Join(root, "pipe"), filepath.Join(root, "dir", "link")
	if err := errors.Join(syscall.Mkfifo(pipe, 0o600), os.Symlink(pipe, link)); err != nil {
		t.Fatal(err)
	}
	reader, err := os.OpenFile(pipe, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	write := func(w Workspace, path string) error {
		f, err := w.File(path)
		if err != nil {
			t.Fatal(err)
		}
		return f.Write([]byte("after"))
	}
	buffer := make([]byte, 10)
	for _, path := range []string{pipe, "pipe", link} {
		if err := write(Workspace{Root: root}, path); err != nil {
			t.Errorf("%s: %v", path, err)
		}
		if n, err := reader.Read(buffer); string(buffer[:n]) != "after" {
			t.Errorf("%s: read %q, %v", path, buffer[:n], err)
		}
	}
	if err := reader.Close(); err != nil {
		t.Fatal(err)
	}
	if err := write(Workspace{Root: root}, pipe); err == nil {
		t.Error("a pipe that nobody reads is written to")
	}
	for _, path := range []string{"pipe", "dir"} {
		err := write(Workspace{Root: root, Confined: true}, path)
		if err == nil || !strings.Contains(err.Error(), "is not a file") {
			t.Errorf("%s: %v", path, err)
		}
	}
	if info, err := os.Lstat(pipe); err != nil || info.Mode().Type() != fs.ModeNamedPipe {
		t.Errorf("the pipe is %v, %v", info, err)
	}
}
