//go:build e2e

package e2e

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/org/neon-tenants-action/internal/postgres/pgtest"
)

// Bounds for the image, in bytes. Measured without the program, and with psql of each major, which the image no longer
// has: 21.1 MB with Debian's clients of 15, 17 and 18, of which libraries were 14.7 MB and each major's programs 1.4 to
// 1.8 MB, 0.8 MB of them psql.
const (
	sizeOfBase  = 17_500_000 // libraries, certificate authorities, licences
	sizeOfMajor = 1_200_000
	sizeOfImage = 50_000_000 // with the program
)

// clientPrograms are the client programs of each major.
var clientPrograms = []string{"pg_dump", "pg_restore"}

// unwanted are servers, shells and package managers, and psql, which could start them (\!).
var unwanted = []string{"postgres", "initdb", "pg_ctl", "psql", "sh", "bash", "dash", "busybox", "apt", "dpkg"}

// clientPath is where a major's program is in the image.
func clientPath(major int, program string) string {
	return fmt.Sprintf("/usr/lib/postgresql/%d/bin/%s", major, program)
}

// imageMajors returns the majors whose clients the image's label lists.
func imageMajors(t *testing.T) []int {
	t.Helper()
	const label = "io.github.org.neon-tenants-action.postgresql-clients"
	out, err := exec.Command("docker", "inspect", "--format", `{{index .Config.Labels "`+label+`"}}`,
		environment(t, "E2E_IMAGE")).Output()
	if err != nil {
		t.Fatalf("read the image's label %s: %v", label, err)
	}
	var majors []int
	for _, field := range strings.Fields(string(out)) {
		major, err := strconv.Atoi(field)
		if err != nil {
			t.Fatalf("the image's label %s is %q", label, out)
		}
		majors = append(majors, major)
	}
	if len(majors) == 0 {
		t.Fatal("the image was built without PostgreSQL clients")
	}
	return majors
}

// TestImageHoldsTheClientsAndLittleElse checks every file in the image.
func TestImageHoldsTheClientsAndLittleElse(t *testing.T) {
	majors := imageMajors(t)
	wanted := map[string]bool{"/neon-tenants-action": true}
	for _, major := range majors {
		for _, program := range clientPrograms {
			wanted[clientPath(major, program)] = true
		}
	}
	var all, rest int64
	modes := map[string]int64{}
	for _, file := range exportImage(t) {
		name := path.Join("/", file.Name)
		modes[name] = file.Mode
		all += file.Size
		if name != "/neon-tenants-action" {
			rest += file.Size
		}
		base := path.Base(name)
		if strings.HasPrefix(base, "perl") || slices.Contains(unwanted, base) && file.Typeflag != tar.TypeDir {
			t.Errorf("%s is in the image", name)
		}
		// Libraries are executable too; empty files are mount points of Docker's.
		if file.Typeflag == tar.TypeReg && file.Size > 0 && file.Mode&0o111 != 0 && !wanted[name] &&
			!strings.Contains(base, ".so.") {
			t.Errorf("the program %s is in the image", name)
		}
	}
	for name := range wanted {
		if modes[name]&0o111 == 0 {
			t.Errorf("the program %s is not in the image", name)
		}
	}
	if modes["/tmp"]&0o1777 != 0o1777 {
		t.Errorf("/tmp has the mode %o", modes["/tmp"])
	}
	t.Logf("PostgreSQL clients %v: %.1f MB, with the program %.1f MB", majors, float64(rest)/1e6, float64(all)/1e6)
	if bound := int64(sizeOfBase + sizeOfMajor*len(majors)); rest > bound {
		t.Errorf("the image has %d bytes besides the program, want at most %d", rest, bound)
	}
	if all > sizeOfImage {
		t.Errorf("the image has %d bytes, want at most %d", all, sizeOfImage)
	}
}

// exportImage returns the headers of all files of a container that was created from the image but never started.
func exportImage(t *testing.T) []*tar.Header {
	t.Helper()
	id, err := exec.Command("docker", "create", environment(t, "E2E_IMAGE")).Output()
	if err != nil {
		t.Fatalf("docker create: %v", err)
	}
	container := strings.TrimSpace(string(id))
	t.Cleanup(func() { _ = exec.Command("docker", "rm", container).Run() })
	out, err := exec.Command("docker", "export", container).Output()
	if err != nil {
		t.Fatalf("docker export: %v", err)
	}
	var files []*tar.Header
	for archive := tar.NewReader(bytes.NewReader(out)); ; {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			t.Fatalf("docker export: %v", err)
		}
		files = append(files, header)
	}
}

// client is a call of one of the image's client programs, past the action's entry point.
type client struct {
	major   int
	program string
	args    []string
	docker  []string          // options of docker run; default: the host's network
	env     map[string]string // passed on by name
	stdin   []byte
}

// run returns the program's standard output; its standard error becomes part of the error.
func (c client) run(t *testing.T) (string, error) {
	t.Helper()
	options := c.docker
	if !slices.Contains(options, "--network") {
		options = append([]string{"--network", "host"}, options...)
	}
	args := append([]string{"run", "--rm", "--interactive", "--entrypoint", clientPath(c.major, c.program)}, options...)
	cmd := exec.Command("docker")
	cmd.Env = os.Environ()
	for name, value := range c.env {
		args = append(args, "--env", name)
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	cmd.Args = append(cmd.Args, append(append(args, environment(t, "E2E_IMAGE")), c.args...)...)
	var stdout, stderr bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(c.stdin), &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return stdout.String(), fmt.Errorf("%s %d: %w: %s", c.program, c.major, err, stderr.String())
	}
	return stdout.String(), nil
}

// mustRun is run, but an error ends the test.
func (c client) mustRun(t *testing.T) string {
	t.Helper()
	out, err := c.run(t)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestImageClientsAreOfTheirMajor(t *testing.T) {
	for _, major := range imageMajors(t) {
		for _, program := range clientPrograms {
			out := client{major: major, program: program, args: []string{"--version"}}.mustRun(t)
			t.Log(strings.TrimSpace(out))
			if want := fmt.Sprintf("%s (PostgreSQL) %d.", program, major); !strings.HasPrefix(out, want) {
				t.Errorf("%s says %q, want %q…", clientPath(major, program), out, want)
			}
		}
	}
}

// TestImageClientsTalkToAServer dumps and connects over TLS with the server verified, which needs everything that the
// programs load only then: name lookup, OpenSSL and its certificate authorities, compression.
func TestImageClientsTalkToAServer(t *testing.T) {
	server, err := pgtest.Start(t.Context(), pgtest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Stop(); err != nil {
			t.Error(err)
		}
	})
	if _, err := server.CreateTenant(t.Context(), "acme", "geheim", "acme"); err != nil {
		t.Fatal(err)
	}
	const line = "1\tZoë"
	if err := server.Exec(t.Context(), "acme", "create table people (id int primary key, name text)",
		"insert into people values (1, 'Zoë')",
		"alter table people owner to acme"); err != nil {
		t.Fatal(err)
	}
	// What the program sets for its children, with the authority as a file.
	env := func(more ...string) map[string]string {
		e := map[string]string{
			"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", "LC_ALL": "C.UTF-8",
			"PGHOST": "localhost", "PGPORT": strconv.Itoa(server.Port), "PGUSER": "acme", "PGPASSWORD": "geheim",
			"PGDATABASE": "acme",
			"PGSSLMODE":  "verify-full", "PGSSLROOTCERT": "/ca.pem", "PGCHANNELBINDING": "require",
		}
		for i := 0; i < len(more); i += 2 {
			e[more[i]] = more[i+1]
		}
		return e
	}
	mount := func(at string) []string { return []string{"--volume", server.CAFile + ":" + at + ":ro"} }
	arguments := []string{"--no-password"}
	majors := imageMajors(t)

	dumps := 0
	for _, major := range majors {
		t.Run(fmt.Sprintf("clients %d, server %d", major, server.Version), func(t *testing.T) {
			dump := client{major: major, program: "pg_dump", args: arguments, docker: mount("/ca.pem"), env: env()}
			if major < server.Version {
				if out, err := dump.run(t); err == nil || !strings.Contains(err.Error(), "server version mismatch") {
					t.Errorf("want a connection to a server that is too new, got %v and %q", err, out)
				}
				return
			}
			dumps++
			if out := dump.mustRun(t); !strings.Contains(out, line) ||
				!strings.Contains(out, "\n-- PostgreSQL database dump complete\n") {
				t.Errorf("pg_dump wrote %q", out)
			}
			dump.args = append(slices.Clone(arguments), "--format=custom")
			restore := client{major: major, program: "pg_restore", args: []string{"--file=-"},
				stdin: []byte(dump.mustRun(t))}
			if out := restore.mustRun(t); !strings.Contains(out, line) {
				t.Errorf("pg_restore wrote %q", out)
			}
		})
	}
	if dumps == 0 {
		t.Errorf("none of the image's pg_dump %v can dump from the PostgreSQL %d that is installed here", majors,
			server.Version)
	}

	newest := slices.Max(majors)
	refused := []struct {
		name string
		env  map[string]string
		want string
	}{
		{"the authority is not one of the image's", env("PGSSLROOTCERT", "system"), "certificate verify failed"},
		{"another host's certificate", env("PGHOST", "db.example.com", "PGHOSTADDR", "127.0.0.1"),
			"does not match host name"},
	}
	for _, test := range refused {
		t.Run("refused: "+test.name, func(t *testing.T) {
			out, err := client{major: newest, program: "pg_dump", args: arguments, docker: mount("/ca.pem"),
				env: test.env}.run(t)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("want an error with %q, got %v and %q", test.want, err, out)
			}
		})
	}
	t.Run("sslrootcert=system reads the image's authorities", func(t *testing.T) {
		dump := client{major: newest, program: "pg_dump", args: arguments,
			docker: mount("/etc/ssl/certs/ca-certificates.crt"), env: env("PGSSLROOTCERT", "system")}
		if out := dump.mustRun(t); !strings.Contains(out, line) {
			t.Errorf("pg_dump wrote %q", out)
		}
	})
}

// TestImageClientsAskDNS gives a container a name that only Docker's DNS server knows, and connects it to itself, where
// nothing listens.
func TestImageClientsAskDNS(t *testing.T) {
	network := fmt.Sprintf("neon-tenants-action-e2e-%d", os.Getpid())
	if out, err := exec.Command("docker", "network", "create", network).CombinedOutput(); err != nil {
		t.Fatalf("docker network create: %v\n%s", err, out)
	}
	t.Cleanup(func() { _ = exec.Command("docker", "network", "rm", network).Run() })
	_, err := client{
		major: imageMajors(t)[0], program: "pg_dump",
		docker: []string{"--network", network, "--network-alias", "tenant.example"},
		env:    map[string]string{"PGHOST": "tenant.example", "PGUSER": "acme"},
	}.run(t)
	if err == nil || !strings.Contains(err.Error(), "Connection refused") {
		t.Errorf("want a refused connection, got %v", err)
	}
}
