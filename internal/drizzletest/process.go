package drizzletest

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"
)

// Migration is one call of drizzle-orm's migrate() for each of several databases.
type Migration struct {
	URLs       []string `json:"urls"`
	AtOnce     int      `json:"atOnce"` // databases
	Folder     string   `json:"folder"`
	Schema     string   `json:"schema,omitempty"` // migrationsSchema
	Table      string   `json:"table,omitempty"`  // migrationsTable
	SearchPath string   `json:"searchPath,omitempty"`
}

// Error is what migrate() throws.
type Error struct {
	Message string // drizzle's, which in 0.45 is only the query
	Cause   string // the server's, if it is one
	Code    string // the server's
}

func (e *Error) Error() string { return e.Message + ": " + e.Cause }

// Process is a node that runs drizzle-orm's migrate(), also several at once. Starting one takes longer than most
// migrations.
type Process struct {
	cmd   *exec.Cmd
	input io.WriteCloser
	said  strings.Builder // standard error

	mu      sync.Mutex
	last    int
	waiting map[int]chan answer
	ended   chan struct{} // once it answers no more
}

type answer struct {
	ID      int     `json:"id"`
	Seconds float64 `json:"seconds"`
	Message string  `json:"error"`
	Cause   string  `json:"cause"`
	Code    string  `json:"code"`
}

// Start starts a process with the packages of a line. environment is added to this process's.
func Start(ctx context.Context, line Line, environment ...string) (*Process, error) {
	dir, err := Install(ctx, line)
	if err != nil {
		return nil, err
	}
	program, err := files.ReadFile("migrator.mjs")
	if err != nil {
		return nil, err
	}
	p := &Process{waiting: map[int]chan answer{}, ended: make(chan struct{})}
	// Ends with its standard input, also if this process is killed.
	p.cmd = exec.Command("node", "--input-type=module", "--eval", string(program))
	p.cmd.Dir, p.cmd.Stderr, p.cmd.Env = dir, &p.said, append(os.Environ(), environment...)
	if p.input, err = p.cmd.StdinPipe(); err != nil {
		return nil, fmt.Errorf("start node: %w", err)
	}
	output, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("start node: %w", err)
	}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start node: %w", err)
	}
	go p.read(output)
	return p, nil
}

// read passes answers to those who wait for them.
func (p *Process) read(output io.Reader) {
	defer close(p.ended)
	lines := bufio.NewReader(output)
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			return
		}
		var a answer
		if json.Unmarshal(line, &a) != nil {
			continue // something that a package prints
		}
		p.mu.Lock()
		waiting := p.waiting[a.ID]
		delete(p.waiting, a.ID)
		p.mu.Unlock()
		if waiting != nil {
			waiting <- a
		}
	}
}

// Migrate runs migrate() and returns how long it took inside of node. The error is an [*Error] if it is drizzle's.
func (p *Process) Migrate(ctx context.Context, m Migration) (time.Duration, error) {
	m.AtOnce = max(m.AtOnce, 1)
	received := make(chan answer, 1)
	p.mu.Lock()
	p.last++
	request := struct {
		ID int `json:"id"`
		Migration
	}{p.last, m}
	p.waiting[p.last] = received
	line, err := json.Marshal(request)
	if err == nil {
		_, err = p.input.Write(append(line, '\n'))
	}
	p.mu.Unlock()
	if err != nil {
		return 0, fmt.Errorf("ask node for a migration: %w", err)
	}
	select {
	case a := <-received:
		took := time.Duration(a.Seconds * float64(time.Second))
		if a.Message != "" {
			return took, &Error{a.Message, a.Cause, a.Code}
		}
		return took, nil
	case <-p.ended:
		return 0, errors.New("node ended before it answered")
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

// Stop ends the process, once it has answered.
func (p *Process) Stop() error {
	err := p.input.Close()
	<-p.ended
	if failed := p.cmd.Wait(); failed != nil {
		err = errors.Join(err, fmt.Errorf("node: %w: %s", failed, p.said.String()))
	}
	return err
}

// PID is the process's number, for who measures what it takes.
func (p *Process) PID() int { return p.cmd.Process.Pid }
