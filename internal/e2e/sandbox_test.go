//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// sandbox is a running `make sandbox` with MinIO: a simulated Neon over a real PostgreSQL, and S3, reached on
// 127.0.0.1.
type sandbox struct {
	apiURL, apiKey, orgID string
	environment           map[string]string // everything that it prints, by name
	tenants               []tenant
}

// tenant is a project of the sandbox, with the connection string that the API returns.
type tenant struct{ id, name, uri string }

// startSandbox starts a sandbox for one test. args are those of `serve`.
func startSandbox(t *testing.T, args ...string) *sandbox {
	t.Helper()
	// Not `go run`, because a signal has to reach the program itself.
	binary, envFile := filepath.Join(t.TempDir(), "sandbox"), filepath.Join(t.TempDir(), "environment")
	if out, err := exec.Command("go", "build", "-o", binary, root+"/internal/sandbox").CombinedOutput(); err != nil {
		t.Fatalf("build the sandbox: %v\n%s", err, out)
	}
	var log bytes.Buffer
	cmd := exec.Command(binary, append([]string{"serve", "--env-file", envFile}, args...)...)
	cmd.Env = append(os.Environ(), "STORE=minio")
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatalf("start the sandbox: %v", err)
	}
	exited := make(chan struct{})
	go func() {
		_ = cmd.Wait() // the status is read from ProcessState
		close(exited)
	}()
	t.Cleanup(func() {
		if cmd.Process.Signal(syscall.SIGTERM) != nil {
			t.Errorf("the sandbox ended during the test: %v", cmd.ProcessState)
		}
		select {
		case <-exited:
		case <-time.After(30 * time.Second):
			_ = cmd.Process.Kill()
			t.Error("the sandbox was still running 30 s after SIGTERM")
			<-exited
		}
		if t.Failed() {
			t.Logf("the sandbox wrote:\n%s", log.String())
		}
	})

	s := &sandbox{}
	for deadline := time.Now().Add(time.Minute); !s.read(envFile); time.Sleep(100 * time.Millisecond) {
		select {
		case <-exited:
			t.Fatalf("the sandbox ended: %v\n%s", cmd.ProcessState, log.String())
		default:
		}
		if time.Now().After(deadline) {
			t.Fatalf("the sandbox did not print its environment within a minute:\n%s", log.String())
		}
	}
	s.list(t)
	return s
}

// read reads the environment from the file, and reports whether it was complete.
func (s *sandbox) read(path string) bool {
	data, err := os.ReadFile(path)
	if err != nil || !bytes.HasSuffix(data, []byte("\n")) {
		return false
	}
	s.environment = map[string]string{}
	for line := range strings.Lines(string(data)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		s.environment[name] = value
	}
	s.apiURL, s.apiKey, s.orgID = s.environment["NEON_API_URL"], s.environment["NEON_API_KEY"],
		s.environment["NEON_ORG_ID"]
	return s.apiURL != "" && s.apiKey != "" && s.orgID != ""
}

// list asks the API, as any client would, for the tenants that a run should find.
func (s *sandbox) list(t *testing.T) {
	t.Helper()
	var list struct {
		Projects []struct{ ID, Name string }
	}
	s.get(t, "/projects", url.Values{"limit": {"400"}, "org_id": {s.orgID}}, &list)
	for _, p := range list.Projects {
		tenant := tenant{p.ID, p.Name, s.uri(t, p.ID)}
		tenant.wake(t)
		tenant.uri = s.uri(t, p.ID) // in the simulator, a compute that is awake has another port
		s.tenants = append(s.tenants, tenant)
	}
	if len(s.tenants) < 3 {
		t.Fatalf("the sandbox has %d tenants, these tests need at least three", len(s.tenants))
	}
	slices.SortFunc(s.tenants, func(a, b tenant) int { return strings.Compare(a.name, b.name) })
}

// named returns the tenant of that name.
func (s *sandbox) named(t *testing.T, name string) tenant {
	t.Helper()
	i := slices.IndexFunc(s.tenants, func(tn tenant) bool { return tn.name == name })
	if i < 0 {
		t.Fatalf("the sandbox has no tenant %s", name)
	}
	return s.tenants[i]
}

// projects counts the organization's projects.
func (s *sandbox) projects(t *testing.T) int {
	t.Helper()
	var list struct{ Projects []struct{ ID string } }
	s.get(t, "/projects", url.Values{"limit": {"400"}, "org_id": {s.orgID}}, &list)
	return len(list.Projects)
}

func (s *sandbox) uri(t *testing.T, project string) string {
	t.Helper()
	var answer struct{ URI string }
	s.get(t, "/projects/"+project+"/connection_uri", url.Values{"database_name": {"neondb"},
		"role_name": {"neondb_owner"}}, &answer)
	return answer.URI
}

// wake connects until a sleeping compute answers.
func (tn tenant) wake(t *testing.T) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		conn, err := pgx.Connect(t.Context(), tn.uri)
		if err == nil {
			_ = conn.Close(t.Context())
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s does not wake: %v", tn.name, err)
		}
	}
}

// get asks Neon.
func (s *sandbox) get(t *testing.T, path string, query url.Values, into any) {
	t.Helper()
	getJSON(t, s.apiURL+path+"?"+query.Encode(), s.apiKey, into)
}

// getGitHub asks GitHub for something of the repository.
func (s *sandbox) getGitHub(t *testing.T, path string, into any) {
	t.Helper()
	getJSON(t, s.environment["GITHUB_API_URL"]+"/repos/"+s.environment["GITHUB_REPOSITORY"]+path,
		s.environment["GITHUB_TOKEN"], into)
}

func getJSON(t *testing.T, address, token string, into any) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("GET %s: %s", address, resp.Status)
	}
	if err := json.NewDecoder(resp.Body).Decode(into); err != nil {
		t.Fatalf("GET %s: %v", address, err)
	}
}

// secrets returns every text that must not be readable after a run.
func (s *sandbox) secrets(t *testing.T) []string {
	t.Helper()
	all := []string{s.apiKey}
	for _, tenant := range s.tenants {
		all = append(all, tenant.secrets(t)...)
	}
	return all
}

// secrets returns the connection string, its password, and the password as it is encoded there.
func (tn tenant) secrets(t *testing.T) []string {
	t.Helper()
	u, err := url.Parse(tn.uri)
	if err != nil {
		t.Fatal(err)
	}
	password, _ := u.User.Password()
	_, encoded, _ := strings.Cut(u.User.String(), ":")
	return []string{tn.uri, password, encoded}
}

// migrate returns the least that a workflow writes under `with:`, and the address of this Neon.
func (s *sandbox) migrate() map[string]string {
	return map[string]string{"mode": "migrate", "neon-api-key": s.apiKey, "neon-api-url": s.apiURL}
}

// bucket is migrate for the modes that use the bucket. The region comes from AWS_REGION.
func (s *sandbox) bucket(mode string) map[string]string {
	inputs := s.migrate()
	inputs["mode"] = mode
	inputs["s3-bucket"], inputs["s3-endpoint"], inputs["s3-path-style"] = s.environment["S3_BUCKET"],
		s.environment["S3_ENDPOINT"], "true"
	inputs["role-to-assume"] = s.environment["ROLE_TO_ASSUME"]
	return inputs
}

// env returns what a job has besides its inputs: the runner's token service, and what points AWS's client at MinIO.
// MinIO's certificate authority is copied into the workspace, which the container mounts at the given path.
func (s *sandbox) env(t *testing.T, workspace, at string) []string {
	t.Helper()
	certificate, err := os.ReadFile(s.environment["AWS_CA_BUNDLE"])
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(workspace, "authority.pem"), certificate, 0o644); err != nil {
		t.Fatal(err)
	}
	env := []string{"AWS_CA_BUNDLE=" + at + "/authority.pem"}
	for _, name := range []string{"AWS_REGION", "AWS_ENDPOINT_URL_STS", "ACTIONS_ID_TOKEN_REQUEST_URL",
		"ACTIONS_ID_TOKEN_REQUEST_TOKEN"} {
		env = append(env, name+"="+s.environment[name])
	}
	return env
}

// query returns one value from a tenant's database.
func query[T any](t *testing.T, tenant tenant, sql string) T {
	t.Helper()
	var value T
	tenant.connect(t, func(ctx context.Context, conn *pgx.Conn) error { return conn.QueryRow(ctx, sql).Scan(&value) })
	return value
}

// exec makes an out-of-band change to a tenant's database.
func (tn tenant) exec(t *testing.T, sql string) {
	t.Helper()
	tn.connect(t, func(ctx context.Context, conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, sql)
		return err
	})
}

func (tn tenant) connect(t *testing.T, do func(context.Context, *pgx.Conn) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, tn.uri)
	if err != nil {
		t.Fatalf("%s: %v", tn.name, err)
	}
	defer conn.Close(ctx)
	if err := do(ctx, conn); err != nil {
		t.Fatalf("%s: %v", tn.name, err)
	}
}
