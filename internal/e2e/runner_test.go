//go:build e2e

package e2e

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// environment reads a variable that `make e2e` sets.
func environment(t *testing.T, name string) string {
	t.Helper()
	value := os.Getenv(name)
	if value == "" {
		t.Fatalf("%s is not set: run these tests by make e2e", name)
	}
	return value
}

// step is one container step of a job, running or ended.
type step struct {
	cmd       *exec.Cmd
	log       bytes.Buffer
	workspace string
	commands  string // file that names the directory of the step's command files
	label     string // finds the container even if its client is gone
	ended     chan struct{}
}

// startStep starts the image on a workspace as the runner does: with the inputs, or action.yml's defaults, in the
// environment, and the step's env: (NAME=VALUE). The host's network stands in for the internet, where Neon would be.
func startStep(t *testing.T, workspace string, inputs map[string]string, env ...string) *step {
	t.Helper()
	return startStepWith(t, []string{"--network", "host"}, workspace, inputs, env...)
}

// startStepWith is startStep with options of docker run.
func startStepWith(t *testing.T, options []string, workspace string, inputs map[string]string, env ...string) *step {
	t.Helper()
	temp := t.TempDir()
	s := &step{workspace: workspace, commands: filepath.Join(temp, "commands"), label: "e2e=" + temp,
		ended: make(chan struct{})}
	s.cmd = exec.Command(environment(t, "E2E_RUN_AS_RUNNER"), environment(t, "E2E_IMAGE"), workspace, "--label", s.label)
	s.cmd.Args = append(s.cmd.Args, options...)
	s.cmd.Stdout, s.cmd.Stderr = &s.log, &s.log
	s.cmd.Env = append(surroundings(), "RUNNER_TEMP_HOST="+temp, "FC_FILE="+s.commands)
	for _, variable := range env {
		name, _, _ := strings.Cut(variable, "=")
		s.cmd.Args, s.cmd.Env = append(s.cmd.Args, "--env", name), append(s.cmd.Env, variable)
	}
	for name, input := range readDefinition(t).Inputs {
		value, given := inputs[name]
		if !given {
			value = input.Default
		}
		s.cmd.Env = append(s.cmd.Env, "INPUT_"+strings.ToUpper(name)+"="+value)
	}
	if err := s.cmd.Start(); err != nil {
		t.Fatalf("start the image: %v", err)
	}
	go func() {
		_ = s.cmd.Wait() // the status is read from ProcessState
		close(s.ended)
	}()
	t.Cleanup(func() {
		if left := s.containers(t, "--all"); len(left) > 0 {
			_ = exec.Command("docker", append([]string{"rm", "--force"}, left...)...).Run()
		}
		<-s.ended
	})
	return s
}

// containers returns the ids of the step's running containers, with --all also of stopped ones.
func (s *step) containers(t *testing.T, options ...string) []string {
	t.Helper()
	out, err := exec.Command("docker", append([]string{"ps", "--quiet", "--no-trunc", "--filter", "label=" + s.label},
		options...)...).Output()
	if err != nil {
		t.Errorf("docker ps: %v", err)
	}
	return strings.Fields(string(out))
}

// outcome is how a step ended, and what it wrote.
type outcome struct {
	exit    int
	log     string
	outputs map[string]string
	summary string
	report  report
	// reportText is the report file's text.
	reportText string
}

// report is the part of the report file that these tests read.
type report struct {
	Version int
	Totals  map[string]int
	Error   *struct{ Message string }
	Tenants []struct {
		Name, State, Note string
		Error             *struct{ Message, Remedy string }
		Detail            json.RawMessage
	}
}

// detail returns the mode's own part of a tenant's entry in the report.
func detail[T any](t *testing.T, o outcome, tenant string) T {
	t.Helper()
	var d T
	for _, e := range o.report.Tenants {
		if e.Name == tenant {
			if err := json.Unmarshal(e.Detail, &d); err != nil {
				t.Errorf("the report's detail of %s: %v", tenant, err)
			}
			return d
		}
	}
	t.Errorf("the report has no %s", tenant)
	return d
}

// runStep runs the image until it ends.
func runStep(t *testing.T, workspace string, inputs map[string]string, env ...string) outcome {
	t.Helper()
	return startStep(t, workspace, inputs, env...).wait(t, 5*time.Minute)
}

func (s *step) wait(t *testing.T, patience time.Duration) outcome {
	t.Helper()
	select {
	case <-s.ended:
	case <-time.After(patience):
		t.Fatalf("the step was still running after %s", patience)
	}
	o := outcome{exit: s.cmd.ProcessState.ExitCode(), log: s.log.String()}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("a step ended with %d and wrote:\n%s", o.exit, o.log)
		}
	})
	folder, err := os.ReadFile(s.commands)
	if err != nil {
		t.Fatalf("the step did not start: %v\n%s", err, o.log)
	}
	dir := strings.TrimSpace(string(folder))
	o.outputs = parseOutputs(t, readOne(t, dir, "set_output_*"))
	o.summary = readOne(t, dir, "step_summary_*")
	if path := o.outputs["report-file"]; path != "" {
		data, err := os.ReadFile(filepath.Join(s.workspace, path))
		if err != nil {
			t.Fatalf("the report file that the output names: %v", err)
		}
		if err := json.Unmarshal(data, &o.report); err != nil {
			t.Fatalf("the report file: %v", err)
		}
		o.reportText = string(data)
	}
	return o
}

func readOne(t *testing.T, dir, pattern string) string {
	t.Helper()
	files, _ := filepath.Glob(filepath.Join(dir, pattern))
	if len(files) != 1 {
		t.Fatalf("%d files %s in %s", len(files), pattern, dir)
	}
	data, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// parseOutputs reads GITHUB_OUTPUT as the runner does: NAME=VALUE, or NAME<<DELIMITER and lines up to the delimiter.
func parseOutputs(t *testing.T, text string) map[string]string {
	t.Helper()
	outputs := map[string]string{}
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	for i := 0; i < len(lines) && text != ""; i++ {
		name, rest, ok := strings.Cut(lines[i], "<<")
		if !ok {
			if name, rest, ok = strings.Cut(lines[i], "="); !ok {
				t.Fatalf("the runner refuses this line of outputs: %q", lines[i])
			}
			outputs[name] = rest
			continue
		}
		var value []string
		for i++; i < len(lines) && lines[i] != rest; i++ {
			value = append(value, lines[i])
		}
		if i == len(lines) {
			t.Fatalf("the output %s has no end", name)
		}
		outputs[name] = strings.Join(value, "\n")
	}
	return outputs
}

// wants checks an output.
func (o outcome) wants(t *testing.T, name, want string) {
	t.Helper()
	if got := o.outputs[name]; got != want {
		t.Errorf("output %s is %q, want %q", name, got, want)
	}
}

// masks returns the texts that the step told the runner to mask, and the rest of its log.
func (o outcome) masks() (masks map[string]bool, shown string) {
	var rest strings.Builder
	masks = map[string]bool{}
	for line := range strings.Lines(o.log) {
		if value, ok := strings.CutPrefix(strings.TrimSpace(line), "::add-mask::"); ok {
			masks[strings.NewReplacer("%0D", "\r", "%0A", "\n", "%25", "%").Replace(value)] = true
		} else {
			rest.WriteString(line)
		}
	}
	return masks, rest.String()
}

// keeps fails for every secret that can be read after the run, or that the runner was not told to mask. The masking
// lines themselves do not count: the runner removes them from the log.
func (o outcome) keeps(t *testing.T, secrets []string) {
	t.Helper()
	masks, _ := o.masks()
	for _, secret := range secrets {
		if !masks[secret] {
			t.Errorf("the log does not mask %q", secret)
		}
	}
	o.hides(t, secrets)
}

// hides fails for every secret that can be read after the run.
func (o outcome) hides(t *testing.T, secrets []string) {
	t.Helper()
	_, shown := o.masks()
	for _, secret := range secrets {
		for place, text := range map[string]string{"log": shown, "summary": o.summary, "report": o.reportText} {
			if strings.Contains(text, secret) {
				t.Errorf("the %s shows %q", place, secret)
			}
		}
		for name, value := range o.outputs {
			if strings.Contains(value, secret) {
				t.Errorf("the output %s shows %q", name, secret)
			}
		}
	}
}

// newWorkspace creates a checkout whose db/migrations has the example migrations and the given ones.
func newWorkspace(t *testing.T, more map[string]string) string {
	t.Helper()
	workspace := t.TempDir()
	migrations := filepath.Join(workspace, "db", "migrations")
	if err := os.CopyFS(migrations, os.DirFS(filepath.Join(root, "migrations", "example"))); err != nil {
		t.Fatal(err)
	}
	for name, sql := range more {
		if err := os.WriteFile(filepath.Join(migrations, name), []byte(sql), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return workspace
}
