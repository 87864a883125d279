package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/org/neon-tenants-action/internal/neon/neontest"
)

// asProgram has this test binary be the sandbox.
const asProgram = "SANDBOX_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// A client that hangs up in the middle of an answer ends nothing but its own connection.
func TestClientsHangUp(t *testing.T) {
	environment := filepath.Join(t.TempDir(), "environment")
	cmd := program(t, "serve", "--env-file", environment)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	exited := make(chan error, 1)
	go func() { exited <- cmd.Wait() }()

	api := apiURL(t, environment, exited)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet,
		api.String()+"/projects?limit=100&org_id="+neontest.DefaultOrg, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+neontest.OrgKey)
	for range 200 {
		hangUp(t, api.Host, request)
	}
	select {
	case err := <-exited:
		t.Fatalf("the sandbox ended: %v", err)
	default:
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close() // whatever it is: so many requests may be too many for Neon

	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := <-exited; err != nil {
		t.Errorf("after SIGTERM: %v", err)
	}
}

// A pipe that nobody reads ends the sandbox with nothing left behind.
func TestPipeIsClosed(t *testing.T) {
	temp := t.TempDir()
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	_ = read.Close()
	cmd := program(t, "serve")
	cmd.Env = append(cmd.Env, "TMPDIR="+temp)
	cmd.Stdout = write
	err = cmd.Run()
	_ = write.Close()
	if err != nil {
		t.Errorf("the sandbox ended with %v", err)
	}
	if left, err := os.ReadDir(temp); err != nil || len(left) > 0 {
		t.Errorf("it left %v, %v", left, err)
	}
}

// program is the sandbox, which ends by itself within the time that any of these tests takes.
func program(t *testing.T, args ...string) *exec.Cmd {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, os.Args[0], args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.Env = append(os.Environ(), asProgram+"=1", "STORE=")
	cmd.Stderr = os.Stderr
	return cmd
}

// apiURL waits for the sandbox's environment and returns where Neon's API is.
func apiURL(t *testing.T, environment string, exited <-chan error) *url.URL {
	t.Helper()
	for {
		text, err := os.ReadFile(environment)
		if err == nil {
			line, _, _ := strings.Cut(string(text), "\n")
			u, err := url.Parse(strings.TrimPrefix(line, "NEON_API_URL="))
			if err != nil {
				t.Fatal(err)
			}
			return u
		}
		select {
		case err := <-exited:
			t.Fatalf("the sandbox ended: %v", err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// hangUp asks for more than it waits for, and resets the connection.
func hangUp(t *testing.T, host string, request *http.Request) {
	t.Helper()
	conn, err := net.Dial("tcp", host)
	if err != nil {
		t.Fatalf("the sandbox refuses connections: %v", err)
	}
	defer conn.Close()
	if err := conn.(*net.TCPConn).SetLinger(0); err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for range 50 {
		if err := request.Write(&b); err != nil {
			t.Fatal(err)
		}
	}
	_, _ = fmt.Fprint(conn, b.String()) // it may have been answered and closed
	one := make([]byte, 1)
	_, _ = conn.Read(one)
}
