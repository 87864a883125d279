package pgtest

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// victim in the environment of a test binary makes it the victim of TestKilledOwnerLeavesNothing.
const victim = "PGTEST_VICTIM"

func TestMain(m *testing.M) {
	if mode := os.Getenv(victim); mode != "" {
		s, err := Start(context.Background(), Options{})
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		if mode == "paused" {
			if err := s.Pause(); err != nil {
				fmt.Println(err)
				os.Exit(1)
			}
		}
		fmt.Println(s.running().cmd.Process.Pid, s.dir)
		select {}
	}
	Main(m)
}

// query connects and returns one value.
func query(t *testing.T, url, sql string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	var value string
	if err := conn.QueryRow(ctx, sql).Scan(&value); err != nil {
		t.Fatal(err)
	}
	return value
}

func start(t *testing.T, o Options) *Server {
	t.Helper()
	s, err := Start(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestEveryVersion(t *testing.T) {
	versions := Versions()
	if len(versions) == 0 {
		t.Fatal("no server found")
	}
	for _, version := range versions {
		t.Run(strconv.Itoa(version), func(t *testing.T) {
			t.Parallel()
			s := start(t, Options{Version: version, Settings: map[string]string{"application_name": "it's mine"}})
			got := query(t, s.URL("postgres"), "select current_setting('server_version_num')::int / 10000 || ' ' || "+
				"current_setting('application_name')")
			if got != fmt.Sprint(version, " it's mine") {
				t.Errorf("server says %q", got)
			}
			const password = "it's a \\ p@ss:w/r%d \u00fc"
			url, err := s.CreateTenant(context.Background(), `Strange "role"`, password, "Strange / database?")
			if err != nil {
				t.Fatal(err)
			}
			got = query(t, url, "select current_user || '|' || current_database() || '|' || ssl "+
				"from pg_stat_ssl where pid = pg_backend_pid()")
			if got != `Strange "role"|Strange / database?|true` {
				t.Errorf("tenant is %q", got)
			}
			if _, err := pgx.Connect(context.Background(), strings.Replace(url, "%25", "x", 1)); err == nil {
				t.Error("a wrong password was accepted")
			}
			verified := strings.Replace(url, "sslmode=require", "sslmode=verify-full&sslrootcert="+s.CAFile, 1)
			query(t, verified, "select 'ok'")
			psql := exec.Command(filepath.Join(s.BinDir, "psql"),
				"-XAtc", "create table mine (); select 'by psql'", url)
			if out, err := psql.CombinedOutput(); err != nil || !strings.Contains(string(out), "by psql") {
				t.Errorf("psql: %v: %s", err, out)
			}
		})
	}
}

func TestVersionNotInstalled(t *testing.T) {
	_, err := Start(context.Background(), Options{Version: 9})
	if err == nil || !strings.Contains(err.Error(), "apt-get install postgresql-9") {
		t.Errorf("got %v", err)
	}
}

func TestNoTLS(t *testing.T) {
	s := start(t, Options{NoTLS: true})
	if got := query(t, s.URL("postgres"), "show ssl"); got != "off" {
		t.Errorf("ssl is %s", got)
	}
	if s.TLSConfig() != nil || s.CAFile != "" {
		t.Error("a server without TLS offers certificates")
	}
}

func TestLifecycle(t *testing.T) {
	ctx := context.Background()
	s := start(t, Options{})
	dir := s.dir
	if err := s.Exec(ctx, "postgres", "create table kept as select 'kept'::text as value", "checkpoint"); err != nil {
		t.Fatal(err)
	}
	if err := s.Pause(); err != nil {
		t.Fatal(err)
	}
	short, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
	if _, err := pgx.Connect(short, s.URL("postgres")); err == nil {
		t.Error("a paused server answered")
	}
	cancel()
	if err := s.Resume(); err != nil {
		t.Fatal(err)
	}
	held, err := pgx.Connect(ctx, s.URL("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := held.Ping(ctx); err == nil {
		t.Error("a connection survived the server")
	}
	if err := s.Restart(ctx); err != nil {
		t.Fatal(err)
	}
	if err := s.Restart(ctx); err != nil {
		t.Fatal(err)
	}
	if got := query(t, s.URL("postgres"), "select value from kept"); got != "kept" {
		t.Errorf("after a crash: %q", got)
	}
	if err := s.Pause(); err != nil { // Stop must get through to a paused server too
		t.Fatal(err)
	}
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("the directory is still there: %v", err)
	}
}

func TestKilledOwnerLeavesNothing(t *testing.T) {
	for _, mode := range []string{"running", "paused"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			owner := exec.Command(os.Args[0])
			owner.Env = append(os.Environ(), victim+"="+mode)
			out, err := owner.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := owner.Start(); err != nil {
				t.Fatal(err)
			}
			line, _ := bufio.NewReader(out).ReadString('\n')
			_ = owner.Process.Kill()
			_ = owner.Wait() // killed, as it should be
			var pid int
			var dir string
			if _, err := fmt.Sscan(line, &pid, &dir); err != nil {
				t.Fatalf("owner said %q", line)
			}
			for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
				_, err := os.Stat(dir)
				if !alive(pid) && os.IsNotExist(err) {
					return
				}
				if time.Now().After(deadline) {
					t.Fatalf("20 s after its owner was killed, server %d or directory %s is still there", pid, dir)
				}
			}
		})
	}
}

func TestDatabase(t *testing.T) {
	var urls []string
	t.Run("use", func(t *testing.T) {
		first, second := Database(t), Database(t)
		urls = []string{first, second}
		if a, b := query(t, first, "select current_database()"), query(t, second, "select current_database()"); a == b {
			t.Errorf("both are %s", a)
		}
		owns := "select (pg_get_userbyid(datdba) = current_user)::text " +
			"from pg_database where datname = current_database()"
		if got := query(t, first, owns); got != "true" {
			t.Error("the role does not own its database")
		}
	})
	for _, url := range urls {
		if _, err := pgx.Connect(context.Background(), url); err == nil {
			t.Error("a database outlived its test")
		}
	}
}

func TestConcurrentTenants(t *testing.T) {
	s := Shared(t)
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			name := "many_" + strconv.Itoa(i)
			if _, err := s.CreateTenant(context.Background(), name, "x", name); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}
