package workspace

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// writing is the variable that makes this test's program a writer of one of the targets, in its working directory: of
// half of it, and once its standard input ends of the rest.
const writing = "WORKSPACE_TEST_WRITING"

// targets are file names, one of which is as long as a name can be.
var targets = map[string]string{"report": "report.json", "page": strings.Repeat("page", 62) + "s.html"}

func TestMain(m *testing.M) {
	name, ok := targets[os.Getenv(writing)]
	if !ok {
		os.Exit(m.Run())
	}
	f, err := Workspace{}.File(name)
	if err == nil {
		err = f.Stream(func(w io.Writer) error {
			_, err := io.WriteString(w, "a half, ")
			fmt.Println("begun")
			_, read := io.Copy(io.Discard, os.Stdin)
			_, rest := io.WriteString(w, "and the rest")
			return errors.Join(err, read, rest)
		})
	}
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	os.Exit(0)
}

// writer is another process in the middle of writing a file.
type writer struct {
	*exec.Cmd
	rest io.Closer
	out  *bufio.Reader
}

func startWriter(t *testing.T, dir, target string) writer {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env, cmd.Dir = append(os.Environ(), writing+"="+target), dir
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = cmd.Process.Kill(), cmd.Wait() })
	w := writer{cmd, in, bufio.NewReader(out)}
	if line, err := w.out.ReadString('\n'); line != "begun\n" {
		t.Fatalf("the writer says %q, %v", line, err)
	}
	return w
}

func (w writer) kill(t *testing.T) {
	t.Helper()
	if err := w.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := w.Wait(); err == nil {
		t.Fatal("it was not killed")
	}
}

func (w writer) finish(t *testing.T) {
	t.Helper()
	if err := w.rest.Close(); err != nil {
		t.Fatal(err)
	}
	said, _ := io.ReadAll(w.out)
	if err := w.Wait(); err != nil {
		t.Errorf("the writer ended with %v, and said %q", err, said)
	}
}

// temporaries returns what is in a directory under temporary names.
func temporaries(t *testing.T, dir string) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, ".neon-tenants-*"))
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func write(t *testing.T, path, text string) {
	t.Helper()
	f, err := Workspace{Root: filepath.Dir(path), Confined: true}.File(path)
	if err == nil {
		err = f.Write([]byte(text))
	}
	if err != nil {
		t.Error(err)
	}
}

// What killed processes leave is removed by the next write into that directory, of whatever file.
func TestKilledWhileWriting(t *testing.T) {
	root := t.TempDir()
	report := filepath.Join(root, targets["report"])
	write(t, report, "before")
	if err := os.Chmod(report, 0o444); err != nil {
		t.Fatal(err)
	}
	writers := []writer{startWriter(t, root, "report"), startWriter(t, root, "report"), startWriter(t, root, "page")}
	for _, w := range writers {
		w.kill(t)
	}
	holds(t, report, "before")
	if left := temporaries(t, root); len(left) != 3 {
		t.Fatalf("three killed writers left %q", left)
	}
	write(t, report, "after")
	holds(t, report, "after")
	if left := temporaries(t, root); len(left) != 0 {
		t.Errorf("beside the next report are %q", left)
	}
}

// Two processes that write one file don't disturb each other: the last to finish has its content there.
func TestTwoWriters(t *testing.T) {
	root := t.TempDir()
	report := filepath.Join(root, "report.json")
	w := startWriter(t, root, "report")
	for _, path := range []string{report, filepath.Join(root, "report.html")} {
		write(t, path, "of the quicker one")
		holds(t, path, "of the quicker one")
	}
	if left := temporaries(t, root); len(left) != 1 {
		t.Errorf("while one is written, there are %q", left)
	}
	w.finish(t)
	holds(t, report, "a half, and the rest")
	if left := temporaries(t, root); len(left) != 0 {
		t.Errorf("left are %q", left)
	}
}

func TestManyWriters(t *testing.T) {
	root := t.TempDir()
	report := filepath.Join(root, "report.json")
	large := func(i int) []byte { return bytes.Repeat([]byte{byte('a' + i)}, 1<<16) }
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for range 50 {
				write(t, report, string(large(i)))
			}
		})
	}
	all.Wait()
	got, err := os.ReadFile(report)
	if err != nil || len(got) != 1<<16 || !bytes.Equal(got, large(int(got[0]-'a'))) {
		t.Errorf("the file has %d bytes of several writers, %v", len(got), err)
	}
	if left := temporaries(t, root); len(left) != 0 {
		t.Errorf("left are %q", left)
	}
}

// A temporary file that goes while it is written, as on a volume that hides another machine's locks, is written again.
func TestATemporaryFileVanishes(t *testing.T) {
	for _, times := range []int{1, 4, 5} {
		root := t.TempDir()
		f, err := Workspace{Root: root, Confined: true}.File("report.json")
		if err != nil {
			t.Fatal(err)
		}
		calls := 0
		err = f.Stream(func(w io.Writer) error {
			if calls++; calls <= times {
				if err := os.Remove(temporaries(t, root)[0]); err != nil {
					t.Error(err)
				}
			}
			_, err := fmt.Fprintf(w, "written %d times", calls)
			return err
		})
		if times < 5 {
			holds(t, filepath.Join(root, "report.json"), fmt.Sprintf("written %d times", times+1))
		}
		if (times < 5) != (err == nil) || times == 5 && !errors.Is(err, errVanished) {
			t.Errorf("removed %d times: %v", times, err)
		}
	}
}

// Only what has a temporary file's whole name, is a regular file and can be locked is removed. Nothing else under such
// a name is touched, followed or waited for.
func TestWhatIsNoLeftover(t *testing.T) {
	root, outside := places(t)
	at := func(name string) string { return filepath.Join(root, name) }
	link, out, hard := newTemporaryName(), newTemporaryName(), newTemporaryName()
	pipe, dir := newTemporaryName(), newTemporaryName()
	stays := []string{link, out, pipe, dir,
		".neon-tenants-report.tmp", newTemporaryName() + "2", "x" + newTemporaryName(), strings.ToLower(newTemporaryName())}
	err := errors.Join(
		os.Symlink("old.json", at(link)), os.Symlink(filepath.Join(outside, "secret"), at(out)),
		os.Link(at("old.json"), at(hard)), syscall.Mkfifo(at(pipe), 0o600), os.Mkdir(at(dir), 0o700))
	for _, name := range stays[4:] {
		err = errors.Join(err, os.WriteFile(at(name), []byte("a user's"), 0o600))
	}
	if err != nil {
		t.Fatal(err)
	}
	write(t, at("report.json"), "after")
	holds(t, at("report.json"), "after")
	holds(t, at("old.json"), "before")
	holds(t, filepath.Join(outside, "secret"), "before")
	for _, name := range stays {
		if _, err := os.Lstat(at(name)); err != nil {
			t.Error(err)
		}
	}
	if left := temporaries(t, root); slices.Contains(left, at(hard)) {
		t.Error("a second name of a file, which looks like a leftover, is still there")
	}
}
