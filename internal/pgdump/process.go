package pgdump

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// killAfter is how long a child may take to end before it is killed. pg_dump uses it to cancel its query.
	killAfter = 2 * time.Second
	// pipeSize is larger than the kernel's 64 KiB, so that pg_dump, which writes 4 KiB at a time, does not block for
	// each of our buffers. It is small enough for the 64 MiB that all pipes of an ordinary user may hold together.
	pipeSize = 256 << 10
)

// child is a running program of PostgreSQL's.
type child struct {
	cmd    *exec.Cmd
	stderr *excerpt
	exited chan struct{} // closed once the child has been waited for
	err    error         // how it exited; read after exited
	once   sync.Once
}

// startChild starts a program in a process group of its own, because a terminal's Ctrl-C, and a runner's SIGINT to the
// group, are ours to handle. It dies with this process, however that ends. Files given as stdin and stdout are closed
// here once the child has them.
func startChild(program string, args, env []string, stdin *os.File, stdout io.Writer) (*child, error) {
	c := &child{stderr: &excerpt{}, exited: make(chan struct{})}
	// The program is a path of ours, the arguments go to no shell, and stop ends it more gently than a context would.
	c.cmd = exec.Command(program, args...) //nolint:gosec,noctx // see above
	c.cmd.Env, c.cmd.Dir = env, "/"
	if stdin != nil {
		c.cmd.Stdin = stdin
	}
	c.cmd.Stdout = stdout
	c.cmd.Stderr = c.stderr
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	c.cmd.WaitDelay = killAfter
	started := make(chan error, 1)
	go c.runOnThread(started)
	err := <-started
	if stdin != nil {
		_ = stdin.Close() // the child has its own
	}
	if f, ok := stdout.(*os.File); ok {
		_ = f.Close()
	}
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", program, err)
	}
	return c, nil
}

// runOnThread starts the child and waits for it on one thread, because the child gets its death signal when the thread
// that started it ends.
func (c *child) runOnThread(started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err := c.cmd.Start()
	started <- err
	if err == nil {
		c.err = c.cmd.Wait()
		close(c.exited)
	}
}

// stop asks the child to end and kills it 2 s later; it returns at once. pg_dump reacts by cancelling its query on the
// server.
func (c *child) stop() {
	c.once.Do(func() {
		c.signal(syscall.SIGTERM)
		go func() {
			select {
			case <-c.exited:
			case <-time.After(killAfter):
				c.signal(syscall.SIGKILL)
			}
		}()
	})
}

// kill ends the child at once.
func (c *child) kill() { c.signal(syscall.SIGKILL) }

func (c *child) signal(s syscall.Signal) {
	select {
	case <-c.exited: // its number may be another process's by now
	default:
		_ = syscall.Kill(-c.cmd.Process.Pid, s) // an error says that it is gone
	}
}

// wait returns how the child exited: nil only for exit status 0.
func (c *child) wait() error {
	<-c.exited
	if errors.Is(c.err, exec.ErrWaitDelay) { // it exited well, but something that it started holds its stderr
		return nil
	}
	return c.err
}

// pipe is an os.Pipe with a larger buffer.
func pipe() (r, w *os.File, err error) {
	r, w, err = os.Pipe()
	if err != nil {
		return nil, nil, fmt.Errorf("make a pipe: %w", err)
	}
	raw, err := w.SyscallConn()
	if err == nil {
		_ = raw.Control(func(fd uintptr) {
			_, _ = unix.FcntlInt(fd, unix.F_SETPIPE_SZ, pipeSize) // it fails above the user's limit
		})
	}
	return r, w, nil
}

// excerpt keeps the beginning and the end of what is written to it.
type excerpt struct {
	mu         sync.Mutex
	head, tail []byte
	cut        bool
}

const (
	excerptHead, excerptTail = 4 << 10, 12 << 10 // bytes
	excerptCut               = "\n…\n"
)

func (e *excerpt) Write(p []byte) (int, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	n := len(p)
	if room := excerptHead - len(e.head); room > 0 {
		first := min(room, len(p))
		e.head, p = append(e.head, p[:first]...), p[first:]
	}
	e.tail = append(e.tail, p...)
	if over := len(e.tail) - excerptTail; over > 0 {
		e.tail, e.cut = append(e.tail[:0], e.tail[over:]...), true
	}
	return n, nil
}

func (e *excerpt) String() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	text := string(e.head)
	if e.cut {
		text += excerptCut
	}
	return string(bytes.ToValidUTF8([]byte(text+string(e.tail)), []byte("?")))
}
