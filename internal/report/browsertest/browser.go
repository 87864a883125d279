// Package browsertest drives a real Chromium, for tests of pages. It speaks Chromium's DevTools protocol over a pipe,
// so the browser listens on no port.
package browsertest

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// Browser is a Chromium without a window.
type Browser struct {
	to      io.Writer
	sending sync.Mutex // a message is written in one piece

	mu      sync.Mutex
	last    int
	waiting map[int]chan message
	pages   map[string]*Page // by session
	ended   error            // why nothing can be asked any more
}

// message is a question, its answer or an event, in the protocol's form.
type message struct {
	ID      int             `json:"id,omitempty"`
	Session string          `json:"sessionId,omitempty"`
	Method  string          `json:"method,omitempty"`
	Params  json.RawMessage `json:"params,omitempty"`
	Result  json.RawMessage `json:"result,omitempty"`
	Error   *struct {
		Message string `json:"message"`
	} `json:"error,omitempty"`
}

// Start starts the browser that .ci/browser finds, which ends with the test. The test is skipped where there is none.
func Start(tb testing.TB) *Browser {
	tb.Helper()
	found, err := exec.Command("../../.ci/browser").Output() // from the folder of internal/report, whose tests these are
	var none *exec.ExitError
	switch {
	case errors.As(err, &none):
		tb.Skip("there is no Chromium here: make e2e installs it")
	case err != nil:
		tb.Fatalf("look for a browser: %v", err)
	}
	program := strings.TrimSpace(string(found))
	profile, err := os.MkdirTemp("", "browsertest-") //nolint:usetesting // the browser may write until it is gone
	if err != nil {
		tb.Fatal(err)
	}
	args := []string{
		"--headless", "--remote-debugging-pipe", "--no-startup-window", "--user-data-dir=" + profile,
		"--no-first-run", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking",
		"--disable-component-update", "--disable-sync", "--host-resolver-rules=MAP * ~NOTFOUND",
	}
	if os.Geteuid() == 0 { // Chromium's own sandbox refuses root
		args = append(args, "--no-sandbox")
	}
	cmd := exec.Command(program, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	ours, theirs := pipe(tb), pipe(tb)
	cmd.ExtraFiles = []*os.File{ours.read, theirs.write}
	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	_, _ = ours.read.Close(), theirs.write.Close()
	b := &Browser{to: ours.write, waiting: map[int]chan message{}, pages: map[string]*Page{}}
	var reading sync.WaitGroup
	reading.Go(func() { b.read(theirs.read) })
	tb.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // all its processes
		_ = cmd.Wait()
		_, _ = ours.write.Close(), theirs.read.Close()
		reading.Wait()
		_ = os.RemoveAll(profile)
	})
	return b
}

type ends struct{ read, write *os.File }

func pipe(tb testing.TB) ends {
	tb.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		tb.Fatal(err)
	}
	return ends{r, w}
}

// read hands out answers and events until the browser ends.
func (b *Browser) read(from io.Reader) {
	in := bufio.NewReader(from)
	for {
		data, err := in.ReadBytes(0)
		var m message
		if err == nil {
			err = json.Unmarshal(data[:len(data)-1], &m)
		}
		b.mu.Lock()
		if err != nil {
			b.ended = fmt.Errorf("the browser ended: %w", err)
			for _, answer := range b.waiting {
				close(answer)
			}
			b.mu.Unlock()
			return
		}
		answer, page := b.waiting[m.ID], b.pages[m.Session]
		delete(b.waiting, m.ID)
		b.mu.Unlock()
		switch {
		case answer != nil:
			answer <- m
		case page != nil:
			page.event(m)
		}
	}
}

// ask sends a command and waits for its answer, which it reads into a value unless that is nil.
func (b *Browser) ask(tb testing.TB, session, method string, params, into any) {
	tb.Helper()
	encoded, err := json.Marshal(params)
	if err != nil {
		tb.Fatal(err)
	}
	answer := make(chan message, 1)
	b.mu.Lock()
	if b.ended != nil {
		b.mu.Unlock()
		tb.Fatal(b.ended)
	}
	b.last++
	m := message{ID: b.last, Session: session, Method: method, Params: encoded}
	b.waiting[m.ID] = answer
	b.mu.Unlock()
	data, err := json.Marshal(m)
	if err != nil {
		tb.Fatal(err)
	}
	b.sending.Lock()
	_, err = b.to.Write(append(data, 0))
	b.sending.Unlock()
	if err != nil {
		tb.Fatalf("%s: %v", method, err)
	}
	got, open := <-answer
	switch {
	case !open:
		tb.Fatalf("%s: %v", method, b.ended)
	case got.Error != nil:
		tb.Fatalf("%s: %s", method, got.Error.Message)
	case into != nil:
		if err := json.Unmarshal(got.Result, into); err != nil {
			tb.Fatalf("%s: %v", method, err)
		}
	}
}
