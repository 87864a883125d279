//go:build e2e

package e2e

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// inspect prints the name, arguments and environment of each process, from /proc.
const inspect = `for p in /proc/[0-9]*; do
	[ "${p#/proc/}" = $$ ] && continue
	name=$(cat $p/comm 2>/dev/null) || continue
	printf '\1process\0%s\0\1arguments\0' "$name"; cat $p/cmdline 2>/dev/null
	printf '\1environment\0'; cat $p/environ 2>/dev/null
done`

// process is a process in a step's container.
type process struct {
	name                   string
	arguments, environment []string
}

// processes lists those of the step's container from a second one that shares its process namespace: the image has no
// tool for it, and another user's processes can't be read from the host.
func (s *step) processes(t *testing.T) []process {
	t.Helper()
	out, err := exec.Command("docker", "run", "--rm", "--network", "none", "--pid", "container:"+s.container(t),
		"debian:trixie-slim", "sh", "-c", inspect).Output()
	if err != nil {
		t.Fatalf("look at the container's processes: %v", err)
	}
	var all []process
	var into *[]string
	for text := range strings.SplitSeq(strings.TrimSuffix(string(out), "\x00"), "\x00") {
		switch text {
		case "\x01process":
			all = append(all, process{})
			into = nil
		case "\x01arguments":
			into = &all[len(all)-1].arguments
		case "\x01environment":
			into = &all[len(all)-1].environment
		default:
			if into == nil {
				all[len(all)-1].name = text
			} else {
				*into = append(*into, text)
			}
		}
	}
	return all
}

func (s *step) container(t *testing.T) string {
	t.Helper()
	ids := s.containers(t)
	if len(ids) != 1 {
		t.Fatalf("the step has the containers %v, want one", ids)
	}
	return ids[0]
}

// wantCleanProcesses checks the processes while pg_dump runs: none has a secret in its arguments, and pg_dump has
// nothing of the job's environment and no secret but its own tenant's password. It returns pg_dump's process ids on the
// host.
func (s *step) wantCleanProcesses(t *testing.T, sandbox *sandbox) (dumps []string) {
	t.Helper()
	token := sandbox.environment["ACTIONS_ID_TOKEN_REQUEST_TOKEN"]
	seen := map[string]int{}
	for _, p := range s.processes(t) {
		seen[p.name]++
		for _, argument := range p.arguments {
			for _, secret := range append(sandbox.secrets(t), token) {
				if strings.Contains(argument, secret) {
					t.Errorf("%s has the secret %q in its arguments", p.name, secret)
				}
			}
		}
		if p.name != "pg_dump" {
			continue
		}
		passwords := 0
		for _, variable := range p.environment {
			name, value, _ := strings.Cut(variable, "=")
			if !slices.Contains([]string{"PATH", "HOME", "LC_ALL"}, name) && !strings.HasPrefix(name, "PG") {
				t.Errorf("pg_dump has %s in its environment", name)
			}
			if name == "PGPASSWORD" {
				passwords++
				continue
			}
			for _, secret := range append(sandbox.secrets(t), token) {
				if strings.Contains(value, secret) {
					t.Errorf("pg_dump has the secret %q in %s", secret, name)
				}
			}
		}
		if passwords != 1 || len(p.arguments) < 2 {
			t.Errorf("this is not how pg_dump is started: %d passwords, arguments %q", passwords, p.arguments)
		}
	}
	if seen["pg_dump"] != 2 || seen["neon-tenants-ac"] != 1 { // the kernel keeps 15 bytes of a name
		t.Errorf("want two pg_dump and the program, the container runs %v", seen)
	}

	out, err := exec.Command("docker", "top", s.container(t), "-eo", "pid,comm").Output()
	if err != nil {
		t.Fatalf("docker top: %v", err)
	}
	for line := range strings.Lines(string(out)) {
		if fields := strings.Fields(line); len(fields) == 2 && fields[1] == "pg_dump" {
			dumps = append(dumps, fields[0])
		}
	}
	if len(dumps) != seen["pg_dump"] {
		t.Errorf("the host has the pg_dump %v, the container %d", dumps, seen["pg_dump"])
	}
	return dumps
}
