// Package pgtest runs private PostgreSQL servers for tests, the sandbox, the demo and the benchmarks. They are real:
// initdb creates them in a temporary directory, with TLS and SCRAM, and they listen on 127.0.0.1 only. Nothing of them
// outlives the process that started them, however that ends.
package pgtest

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/org/neon-tenants-action/internal/servertest"
)

// Superuser is the name of every server's superuser.
const Superuser = "postgres"

const (
	startTimeout = 60 * time.Second // initdb and recovery on a slow, busy machine
	stopTimeout  = 20 * time.Second // a fast shutdown, before it is forced
)

// Options say which server to start, and how. The zero value is the newest installed one, with TLS.
type Options struct {
	Version  int               // major; 0: the newest installed
	Settings map[string]string // additions to postgresql.conf, unquoted
	NoTLS    bool
	// Dir is where the server's directory is created. Empty: PGTEST_DIR; if that is not set, memory (/dev/shm) if there
	// is enough, in which databases are created and dropped several times as fast as on disk; else the system's
	// temporary directory.
	Dir string
}

// Server is a running PostgreSQL server with a data directory of its own.
type Server struct {
	Host    string
	Port    int
	Version int    // major
	BinDir  string // with psql, pg_dump and the like of the server's own version
	CAFile  string // PEM of the authority that signed the server's certificate; empty with NoTLS

	dir      string // everything that the server has on disk
	password string
	options  Options
	account  account
	watchdog *servertest.Watchdog
	tls      *tls.Config

	mu      sync.Mutex
	process *process // nil while the server is down
	idle    map[string][]*pgx.Conn
}

// Start creates a server and returns once it accepts connections. If the wanted version is not installed, the error
// says what to install.
func Start(ctx context.Context, o Options) (*Server, error) {
	installed, err := find(o.Version)
	if err != nil {
		return nil, err
	}
	account, err := serverAccount()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(parentDirectory(o.Dir), "pgtest-")
	if err != nil {
		return nil, fmt.Errorf("make a directory for PostgreSQL: %w", err)
	}
	s := &Server{
		Host: "127.0.0.1", Version: installed.major, BinDir: installed.dir,
		dir: dir, options: o, account: account,
		password: "s@:/%" + rand.Text(), // so that every test meets characters that a URL must escape
		idle:     map[string][]*pgx.Conn{},
	}
	if s.watchdog, err = servertest.Watch("pgtest-watchdog", endServer, dir); err != nil {
		_ = os.RemoveAll(dir)
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if err := s.initialize(ctx); err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	err = servertest.OnFreePort(ctx, func(port int) error {
		s.Port = port
		return s.start(ctx)
	})
	if err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	return s, nil
}

// parentDirectory is where a server's directory is created; "" is the system's temporary directory.
func parentDirectory(wanted string) string {
	if wanted = cmp.Or(wanted, os.Getenv("PGTEST_DIR")); wanted != "" {
		return wanted
	}
	return servertest.Directory(4 << 30)
}

// initialize fills the server's directory: data, configuration and certificate.
func (s *Server) initialize(ctx context.Context) error {
	passwordFile := filepath.Join(s.dir, "password")
	if err := os.WriteFile(passwordFile, []byte(s.password+"\n"), 0o600); err != nil {
		return fmt.Errorf("write PostgreSQL's password file: %w", err)
	}
	if !s.options.NoTLS {
		if err := s.certify(); err != nil {
			return err
		}
	}
	if err := s.account.own(s.dir); err != nil {
		return err
	}
	initdb := exec.CommandContext(ctx, filepath.Join(s.BinDir, "initdb"),
		"--pgdata", s.data(), "--username", Superuser, "--pwfile", passwordFile, "--auth", "scram-sha-256",
		"--encoding", "UTF8", "--locale", "C.UTF-8", "--no-sync", "--no-instructions")
	initdb.Env, initdb.Dir, initdb.SysProcAttr = environment(), s.dir, s.account.attributes()
	if out, err := initdb.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w: %s", err, strings.TrimSpace(string(out)))
	}
	if err := os.Remove(passwordFile); err != nil {
		return fmt.Errorf("remove PostgreSQL's password file: %w", err)
	}
	// This replaces initdb's file, whose entries for the local socket and for replication are not needed.
	hba := []byte("host all all all scram-sha-256\n")
	if err := os.WriteFile(filepath.Join(s.data(), "pg_hba.conf"), hba, 0o600); err != nil {
		return fmt.Errorf("write pg_hba.conf: %w", err)
	}
	return s.configure()
}

// settings are those of every server. The data is thrown away with the server, so nothing is made durable.
var settings = map[string]string{
	"unix_socket_directories":    "",
	"max_connections":            "300",
	"shared_buffers":             "64MB",
	"fsync":                      "off",
	"synchronous_commit":         "off",
	"full_page_writes":           "off",
	"wal_level":                  "minimal",
	"max_wal_senders":            "0",
	"max_wal_size":               "2GB",
	"dynamic_shared_memory_type": "mmap", // in the data directory, so that a killed server leaves nothing elsewhere
	"jit":                        "off",
	// Its launcher visits every database each minute, and with some hundreds of them that takes a good part of a core.
	"autovacuum":   "off",
	"timezone":     "UTC",
	"log_timezone": "UTC",
	"lc_messages":  "C",
}

// configure appends to postgresql.conf.
func (s *Server) configure() error {
	all := maps.Clone(settings)
	all["listen_addresses"] = s.Host
	if !s.options.NoTLS {
		all["ssl"] = "on"
		all["ssl_cert_file"] = s.CertFile()
		all["ssl_key_file"] = s.KeyFile()
	}
	maps.Copy(all, s.options.Settings)
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(all)) {
		fmt.Fprintf(&b, "%s = '%s'\n", name, strings.ReplaceAll(all[name], "'", "''"))
	}
	f, err := os.OpenFile(filepath.Join(s.data(), "postgresql.conf"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return fmt.Errorf("configure PostgreSQL: %w", err)
	}
	_, err = f.WriteString(b.String())
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("configure PostgreSQL: %w", err)
	}
	return nil
}

// CertFile is the file of the server's certificate, in PEM.
func (s *Server) CertFile() string { return filepath.Join(s.dir, "server.pem") }

// KeyFile is the file of its private key, in PEM.
func (s *Server) KeyFile() string { return filepath.Join(s.dir, "server.key") }

// TLSConfig is for a proxy in front of the server. It presents the server's own certificate, without which SCRAM's
// channel binding fails. Nil with NoTLS.
func (s *Server) TLSConfig() *tls.Config {
	if s.tls == nil {
		return nil
	}
	return s.tls.Clone()
}

// Log returns what the server has logged so far.
func (s *Server) Log() string {
	log, err := os.ReadFile(s.logFile())
	if err != nil {
		return err.Error()
	}
	return string(log)
}

func (s *Server) data() string    { return filepath.Join(s.dir, "data") }
func (s *Server) logFile() string { return filepath.Join(s.dir, "server.log") }

// environment keeps the caller's PG… variables, language and secrets out of the server.
func environment() []string { return []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C.UTF-8", "TZ=UTC"} }
