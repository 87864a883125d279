package pgtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sys/unix"
)

// process is a running postmaster.
type process struct {
	cmd    *exec.Cmd
	exited chan struct{} // closed once the process has been waited for
	err    error         // how it exited; read after exited
}

// start runs the postmaster on s.Port and waits until it accepts connections.
func (s *Server) start(ctx context.Context) error {
	log, err := os.OpenFile(s.logFile(), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("start PostgreSQL: %w", err)
	}
	defer log.Close()
	before, err := log.Seek(0, 2)
	if err != nil {
		return fmt.Errorf("start PostgreSQL: %w", err)
	}
	cmd := exec.Command(filepath.Join(s.BinDir, "postgres"), "-D", s.data(), "-p", strconv.Itoa(s.Port))
	cmd.Env, cmd.Dir, cmd.SysProcAttr = environment(), s.dir, s.account.attributes()
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start PostgreSQL: %w", err)
	}
	p := &process{cmd: cmd, exited: make(chan struct{})}
	go func() {
		p.err = cmd.Wait()
		close(p.exited)
	}()
	s.mu.Lock()
	s.process = p
	s.mu.Unlock()
	return s.awaitConnections(ctx, p, int(before))
}

// awaitConnections waits until the server accepts connections. If it exits, the error has what it has logged since an
// offset.
func (s *Server) awaitConnections(ctx context.Context, p *process, offset int) error {
	for {
		conn, err := pgx.Connect(ctx, s.URL("postgres"))
		if err == nil {
			return conn.Close(ctx)
		}
		select {
		case <-p.exited:
			s.forget(p)
			written := s.Log()
			return fmt.Errorf("start PostgreSQL: %w: %s", p.err, strings.TrimSpace(written[min(offset, len(written)):]))
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("wait for PostgreSQL: %w", err), s.Kill())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// Stop shuts the server down, aborts what runs on it, and removes everything that it has on disk. Stopping it twice is
// harmless.
func (s *Server) Stop() error {
	errs := []error{s.shutdown()}
	if s.watchdog != nil {
		s.freeSharedMemory()
		if err := os.RemoveAll(s.dir); err != nil {
			errs = append(errs, fmt.Errorf("remove PostgreSQL's directory: %w", err))
		}
		errs = append(errs, s.watchdog.Dismiss())
		s.watchdog = nil
	}
	return errors.Join(errs...)
}

// shutdown is a fast shutdown: it ends sessions and keeps the data.
func (s *Server) shutdown() error {
	p := s.running()
	if p == nil {
		return nil
	}
	err := errors.Join(s.Resume(), p.cmd.Process.Signal(syscall.SIGINT))
	if err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stop PostgreSQL: %w", err)
	}
	select {
	case <-p.exited:
		s.forget(p)
		return nil
	case <-time.After(stopTimeout):
		return errors.Join(fmt.Errorf("PostgreSQL did not stop within %s and was killed", stopTimeout), s.Kill())
	}
}

// Kill ends the server and its sessions at once, as a crash does. Restart recovers it.
func (s *Server) Kill() error {
	p := s.running()
	if p == nil {
		return nil
	}
	// A stopped postmaster starts no further children, and keeps those that it has.
	err := p.cmd.Process.Signal(syscall.SIGSTOP)
	children := childrenOf(p.cmd.Process.Pid)
	err = errors.Join(err, p.cmd.Process.Kill())
	for _, child := range children {
		if e := syscall.Kill(child, syscall.SIGKILL); e != nil && !errors.Is(e, syscall.ESRCH) {
			err = errors.Join(err, e)
		}
	}
	<-p.exited
	s.forget(p)
	for _, child := range children {
		for alive(child) {
			time.Sleep(time.Millisecond)
		}
	}
	if err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("kill PostgreSQL: %w", err)
	}
	return nil
}

// Restart starts the server on the same port, after shutting it down if it runs.
func (s *Server) Restart(ctx context.Context) error {
	if err := s.shutdown(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	return s.start(ctx)
}

// Pause freezes the server like a machine that hangs: connections stay open, and nothing is answered.
func (s *Server) Pause() error { return s.signalAll(syscall.SIGSTOP) }

// Resume continues a paused server.
func (s *Server) Resume() error { return s.signalAll(syscall.SIGCONT) }

func (s *Server) signalAll(signal syscall.Signal) error {
	p := s.running()
	if p == nil {
		return nil
	}
	if err := p.cmd.Process.Signal(signal); err != nil {
		return fmt.Errorf("send PostgreSQL %s: %w", signal, err)
	}
	for _, child := range childrenOf(p.cmd.Process.Pid) {
		if err := syscall.Kill(child, signal); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("send PostgreSQL %s: %w", signal, err)
		}
	}
	return nil
}

func (s *Server) running() *process {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.process
}

// PID is the postmaster's process ID, 0 while the server is down.
func (s *Server) PID() int {
	if p := s.running(); p != nil {
		return p.cmd.Process.Pid
	}
	return 0
}

// forget drops what belongs to a postmaster that has exited.
func (s *Server) forget(p *process) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.process != p {
		return
	}
	s.process = nil
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	for database, conns := range s.idle {
		for _, conn := range conns {
			_ = conn.Close(ended) // the server is gone, so nobody receives the goodbye
		}
		delete(s.idle, database)
	}
}

// freeSharedMemory removes the System V segment that marks a data directory as in use, and that a killed server leaves
// behind. A next server in the directory would remove it, but there is none.
func (s *Server) freeSharedMemory() {
	lock, err := os.ReadFile(filepath.Join(s.data(), "postmaster.pid"))
	if err != nil {
		return // a shutdown has removed both
	}
	const line = 6 // "key id", after pid, directory, start, port, socket and address
	if lines := bytes.Split(lock, []byte("\n")); len(lines) > line {
		if fields := bytes.Fields(lines[line]); len(fields) == 2 {
			if id, err := strconv.Atoi(string(fields[1])); err == nil {
				_, _ = unix.SysvShmCtl(id, unix.IPC_RMID, nil)
			}
		}
	}
}

// alive reports whether a process still runs. A zombie, which stays in a container without an init process, does not.
func alive(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	return len(fields) > 0 && fields[0][0] != 'Z'
}

// childrenOf lists a process's children.
func childrenOf(pid int) []int {
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	var children []int
	for _, path := range stats {
		stat, err := os.ReadFile(path)
		if err != nil {
			continue // it has exited since
		}
		// "pid (name) state ppid …", and the name may contain anything.
		fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
		if len(fields) < 2 || string(fields[1]) != strconv.Itoa(pid) {
			continue
		}
		if child, err := strconv.Atoi(filepath.Base(filepath.Dir(path))); err == nil {
			children = append(children, child)
		}
	}
	return children
}
