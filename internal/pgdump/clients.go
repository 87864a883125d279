package pgdump

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/org/neon-tenants-action/internal/postgres"
)

// clientsRoot is where Debian, Ubuntu and PGDG install each major version's programs, in N/bin. Their pg_dump in PATH
// is a wrapper that picks a version by itself.
const clientsRoot = "/usr/lib/postgresql"

// Clients are the paths of one major version's programs.
type Clients struct {
	Major   int
	Version string // pg_dump's own, "17.6"
	PgDump  string
	Restore string
}

// FindClients looks for the programs of exactly this major version in root/N/bin; an empty root is where the packages
// of Debian and PGDG install them. No other version will do: pg_dump refuses servers newer than itself, and what a
// newer one writes does not restore into an older server. The error is a [*NoClientsError], or that of running pg_dump.
func FindClients(ctx context.Context, root string, major int) (Clients, error) {
	if root == "" {
		root = clientsRoot
	}
	dir := filepath.Join(root, strconv.Itoa(major), "bin")
	c := Clients{Major: major, PgDump: filepath.Join(dir, "pg_dump"), Restore: filepath.Join(dir, "pg_restore")}
	for _, program := range []string{c.PgDump, c.Restore} {
		if info, err := os.Stat(program); err != nil || info.IsDir() || info.Mode()&0o111 == 0 {
			return Clients{}, &NoClientsError{Major: major, Missing: program, Found: ClientMajors(root)}
		}
	}
	version, err := askVersion(ctx, c.PgDump)
	if err != nil {
		return Clients{}, err
	}
	if c.Version = version; postgres.MajorOf(version) != major {
		return Clients{}, fmt.Errorf("%s says that its version is %q, not %d", c.PgDump, version, major)
	}
	return c, nil
}

// versions caches the programs' versions by path, because asking costs a process.
var versions sync.Map

func askVersion(ctx context.Context, program string) (string, error) {
	if known, ok := versions.Load(program); ok {
		return known.(string), nil
	}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second) // it only prints a line, but the machine may be busy
	defer cancel()
	cmd := exec.CommandContext(ctx, program, "--version")
	cmd.Env = baseEnvironment()
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("ask %s for its version: %w", program, err)
	}
	version := programVersion(string(out))
	versions.Store(program, version)
	return version, nil
}

// ClientMajors lists the major versions whose programs are in root/N/bin, in ascending order.
func ClientMajors(root string) []int {
	if root == "" {
		root = clientsRoot
	}
	dumps, _ := filepath.Glob(filepath.Join(root, "*", "bin", "pg_dump")) // the only error is a bad pattern
	var majors []int
	for _, path := range dumps {
		if major, err := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(path)))); err == nil {
			majors = append(majors, major)
		}
	}
	slices.Sort(majors)
	return majors
}

// programVersion reads "17.6" from "pg_dump (PostgreSQL) 17.6 (Debian 17.6-1)".
func programVersion(line string) string {
	_, version, _ := strings.Cut(line, "(PostgreSQL) ")
	version, _, _ = strings.Cut(strings.TrimSpace(version), " ")
	return version
}

// NoClientsError is the error of a major version of which this machine lacks a program.
type NoClientsError struct {
	Major   int
	Missing string // path
	Found   []int  // the major versions that are installed
}

func (e *NoClientsError) Error() string {
	found := "and none of any other major either"
	if len(e.Found) > 0 {
		found = "only of " + strings.Join(numbers(e.Found), ", ")
	}
	return fmt.Sprintf("there are no PostgreSQL %d client programs here (%s is missing), %s", e.Major, e.Missing, found)
}

func numbers(list []int) []string {
	var texts []string
	for _, n := range list {
		texts = append(texts, strconv.Itoa(n))
	}
	return texts
}
