package pgtest

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/org/neon-tenants-action/internal/servertest"
)

// PgBouncer starts PgBouncer in front of the shared server, without TLS, and returns a connection string through it. It
// skips the test if PgBouncer is not installed. more are further lines of its configuration.
func PgBouncer(t testing.TB, text, poolMode string, more ...string) string {
	t.Helper()
	program, err := exec.LookPath("pgbouncer")
	if err != nil {
		if program = "/usr/sbin/pgbouncer"; !isFile(program) {
			t.Skip("PgBouncer is not installed (apt-get install pgbouncer)")
		}
	}
	u, err := url.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	server := Shared(t)
	dir, err := server.poolerDirectory()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	password, _ := u.User.Password()
	quote := func(s string) string { return `"` + strings.ReplaceAll(s, `"`, `""`) + `"` }
	users := quote(u.User.Username()) + " " + quote(password) + "\n"
	ctx, cancel := context.WithTimeout(t.Context(), startTimeout)
	defer cancel()
	err = servertest.OnFreePort(ctx, func(port int) error {
		lines := append([]string{
			"[databases]", fmt.Sprintf("* = host=%s port=%d", server.Host, server.Port),
			"[pgbouncer]", "listen_addr = 127.0.0.1", fmt.Sprintf("listen_port = %d", port), "unix_socket_dir =",
			"pidfile = " + filepath.Join(dir, "pid"),
			"auth_type = scram-sha-256", "auth_file = " + filepath.Join(dir, "users"),
			"server_tls_sslmode = require", "pool_mode = " + poolMode,
		}, more...)
		for name, content := range map[string]string{"users": users, "ini": strings.Join(lines, "\n") + "\n"} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
				return err
			}
		}
		if err := server.account.own(dir); err != nil {
			return err
		}
		u.Host, u.RawQuery = net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), "sslmode=disable"
		return runPgBouncer(ctx, t, server.account, program, dir, u.String())
	})
	if err != nil {
		t.Fatal(err)
	}
	return u.String()
}

// poolerDirectory makes a directory where the account that PgBouncer runs as can read, and the watchdog finds its pid.
func (s *Server) poolerDirectory() (string, error) { return os.MkdirTemp(s.dir, "pgbouncer-") }

func isFile(name string) bool {
	info, err := os.Stat(name)
	return err == nil && info.Mode().IsRegular()
}

// runPgBouncer starts the program, which refuses to run as root, and returns once it accepts connections. It ends with
// the test.
func runPgBouncer(ctx context.Context, t testing.TB, as account, program, dir, url string) error {
	var log strings.Builder
	cmd := exec.Command(program, filepath.Join(dir, "ini"))
	cmd.Env, cmd.Dir, cmd.SysProcAttr, cmd.Stderr = environment(), dir, as.attributes(), &log
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start PgBouncer: %w", err)
	}
	exited := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(exited)
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-exited
	})
	for {
		conn, err := pgx.Connect(ctx, url)
		if err == nil {
			return conn.Close(ctx)
		}
		select {
		case <-exited:
			return fmt.Errorf("start PgBouncer: %s", log.String())
		case <-ctx.Done():
			return fmt.Errorf("wait for PgBouncer: %w", err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}
