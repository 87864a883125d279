package sweep

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/org/neon-tenants-action/internal/bucket/buckettest"
	"github.com/org/neon-tenants-action/internal/github/githubtest"
	"github.com/org/neon-tenants-action/internal/neon/neontest"
	"github.com/org/neon-tenants-action/internal/postgres/pgtest"
	"github.com/org/neon-tenants-action/internal/report"
	"github.com/org/neon-tenants-action/internal/servertest"
)

func TestMain(m *testing.M) {
	if os.Getenv(workerVariable) != "" {
		os.Exit(work(os.Stdin, os.Stdout))
	}
	pgtest.Main(m, stores.Stop, program.Stop)
}

// stores is the MinIO of all worlds.
var stores servertest.Shared[*buckettest.Trusting]

// built is the program that is killed.
type built struct{ path string }

func (b *built) Stop() error { return os.RemoveAll(filepath.Dir(b.path)) }

var program servertest.Shared[*built]

func build() (*built, error) {
	dir, err := os.MkdirTemp("", "sweep-")
	if err != nil {
		return nil, err
	}
	path := filepath.Join(dir, "neon-tenants-action")
	out, err := exec.Command("go", "build", "-o", path, "../..").CombinedOutput()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("build the program: %w\n%s", err, out), os.RemoveAll(dir))
	}
	return &built{path}, nil
}

// repository is the one on GitHub whose job the runs are.
const repository = "acme/fleet"

// world is all that a run talks to, behind a proxy, with a fleet.
type world struct {
	*testing.T
	proxy    *proxy
	server   *pgtest.Server // with the tenants' databases
	neon     *neontest.Server
	projects []neontest.Project
	github   *githubtest.Server
	store    *buckettest.Trusting
	faults   *buckettest.FaultProxy
	bucket   string
	storeURL string
	catalog  string // its connection string, if the scenario has one

	workspace string
	variables map[string]string // of the runs' environment
	said      []string          // all that runs have written, to see that no secret is in it
}

// newWorld starts one whose tenants have these names.
func newWorld(t *testing.T, server *pgtest.Server, names ...string) *world {
	t.Helper()
	s, err := stores.Get(buckettest.StartTrusting)
	buckettest.Need(t, err)
	w := &world{
		T: t, proxy: newProxy(), server: server, store: s, bucket: buckettest.Bucket(t, s.Server, false),
		workspace: t.TempDir(),
	}
	t.Cleanup(w.proxy.close)
	options := neontest.Options{
		OperationTime: -1, WakeTime: time.Millisecond,
		Front: func(port int) int { return w.proxy.front(t, port) },
		// The checks' own calls would use them up. Runs keep to their limits by themselves, and see refusals of chaos.
		Limits: neontest.Limits{PerMinute: -1, PerSecond: -1},
	}
	if w.neon, err = neontest.New(server, options); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = w.neon.Close()
		if err := w.neon.DropDatabases(context.Background()); err != nil {
			t.Error(err)
		}
	})
	specs := make([]neontest.Spec, len(names))
	for i, name := range names {
		specs[i].Name = name
	}
	if w.projects, err = w.neon.AddProjects(t.Context(), specs...); err != nil {
		t.Fatal(err)
	}
	w.github = githubtest.New(githubtest.Options{})
	w.github.AddOrganization("acme")
	w.github.AddRepository(repository)
	w.faults = buckettest.StartFaultProxy(t, s.Server)
	issuer, err := url.Parse(s.Issuer.RequestURL)
	if err != nil {
		t.Fatal(err)
	}
	at := func(name string, server *servertest.HTTP) string { return "http://" + server.Address() + name }
	requests := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: issuer.Scheme, Host: issuer.Host})
	certificates := filepath.Join(filepath.Dir(s.CAFile), "certs")
	bucket := w.proxy.own(t, func() (*servertest.HTTP, error) {
		return servertest.ServeTLS("127.0.0.1:0", w.proxy.handler("store", w.faults),
			filepath.Join(certificates, "public.crt"), filepath.Join(certificates, "private.key"))
	})
	w.storeURL = "https://" + bucket.Address()
	w.variables = map[string]string{
		"PATH": os.Getenv("PATH"), "HOME": t.TempDir(), "GITHUB_ACTIONS": "true", "GITHUB_WORKSPACE": w.workspace,
		"GITHUB_REPOSITORY": repository, "GITHUB_RUN_ID": "4711", "GITHUB_RUN_ATTEMPT": "1",
		"GITHUB_API_URL":       at("", w.proxy.serve(t, "GitHub", w.github)),
		"INPUT_NEON-API-URL":   at(neontest.BasePath, w.proxy.serve(t, "Neon", w.neon)),
		"INPUT_NEON-API-KEY":   neontest.OrgKey,
		"AWS_ENDPOINT_URL_STS": w.storeURL, "AWS_CA_BUNDLE": s.CAFile,
		"ACTIONS_ID_TOKEN_REQUEST_URL":   at(issuer.RequestURI(), w.proxy.serve(t, "issuer", requests)),
		"ACTIONS_ID_TOKEN_REQUEST_TOKEN": s.Issuer.RequestToken,
		"INPUT_CONCURRENCY":              "1", // so that calls come in nearly the same order every time
	}
	return w
}

// backups are the inputs about the bucket.
func (w *world) backups(more ...string) []string {
	return append([]string{"s3-bucket=" + w.bucket, "s3-endpoint=" + w.storeURL, "s3-path-style=true",
		"aws-region=" + buckettest.Region, "role-to-assume=" + w.store.RoleARN}, more...)
}

// through leads a connection string through the proxy.
func (w *world) through(text string) string {
	w.Helper()
	u, err := url.Parse(text)
	if err != nil {
		w.Fatal(err)
	}
	port, err := strconv.Atoi(u.Port())
	if err != nil {
		w.Fatal(err)
	}
	u.Host = net.JoinHostPort(u.Hostname(), strconv.Itoa(w.proxy.front(w.T, port)))
	return u.String()
}

// outcome is what a run has left.
type outcome struct {
	err    error
	log    string
	report report.File
}

// run runs the program, and kills it at a point.
func (w *world) run(p point, inputs ...string) outcome {
	w.Helper()
	built, err := program.Get(build)
	if err != nil {
		w.Fatal(err)
	}
	j := w.job(inputs...)
	var log bytes.Buffer
	ctx, cancel := context.WithTimeout(w.Context(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, built.path)
	cmd.Env, cmd.Dir, cmd.Stdout, cmd.Stderr = j.environ(), w.workspace, &log, &log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // the end of a container ends pg_dump, too
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	started := make(chan struct{})
	w.proxy.arm(p, func() {
		<-started
		_ = cmd.Cancel() // it may have exited by itself
	})
	if err := cmd.Start(); err != nil {
		w.Fatal(err)
	}
	close(started)
	err = cmd.Wait()
	w.proxy.disarm()
	return w.left(j, err, log.String())
}

// job is a step of a workflow: the variables of its environment, by name.
type job map[string]string

// job prepares one with these inputs.
func (w *world) job(inputs ...string) job {
	w.Helper()
	dir := w.TempDir()
	j := job{
		"GITHUB_OUTPUT": filepath.Join(dir, "output"), "GITHUB_STEP_SUMMARY": filepath.Join(dir, "summary"),
		"INPUT_REPORT-FILE": "report.json",
	}
	maps.Copy(j, w.variables)
	for _, input := range inputs {
		name, value, _ := strings.Cut(input, "=")
		j["INPUT_"+strings.ToUpper(name)] = value
	}
	if err := os.Remove(filepath.Join(w.workspace, "report.json")); err != nil && !errors.Is(err, fs.ErrNotExist) {
		w.Fatal(err)
	}
	return j
}

func (j job) environ() (all []string) {
	for name, value := range j {
		all = append(all, name+"="+value)
	}
	return all
}

// left reads what a run has left.
func (w *world) left(j job, err error, log string) outcome {
	w.Helper()
	o := outcome{err: err, log: log}
	text, err := os.ReadFile(filepath.Join(w.workspace, "report.json"))
	if err == nil {
		if o.report, err = report.Decode(text); err != nil {
			w.Errorf("the report cannot be read: %v", err)
		}
	}
	w.said = append(w.said, o.log, string(text))
	for _, name := range []string{"GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY"} {
		text, _ := os.ReadFile(j[name])
		w.said = append(w.said, string(text))
	}
	return o
}

// api reads from Neon's API past the proxy.
func (w *world) api(path string, into any) {
	w.Helper()
	recorder, request := httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, neontest.BasePath+path, nil)
	request.Header.Set("Authorization", "Bearer "+neontest.OrgKey)
	w.neon.ServeHTTP(recorder, request)
	if err := json.Unmarshal(recorder.Body.Bytes(), into); err != nil || recorder.Code != http.StatusOK {
		w.Fatalf("GET %s: %d, %v: %s", path, recorder.Code, err, recorder.Body)
	}
}

// query asks a tenant's database, past the proxy.
func (w *world) query(p neontest.Project, sql string) []string { return pgtest.Ask(w, p.URL, sql) }

// files lists what is in the workspace.
func (w *world) files() []string {
	w.Helper()
	var names []string
	err := filepath.WalkDir(w.workspace, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			names = append(names, strings.TrimPrefix(path, w.workspace+"/"))
		}
		return err
	})
	if err != nil {
		w.Fatal(err)
	}
	slices.Sort(names)
	return names
}
