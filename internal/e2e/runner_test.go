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

// step is one container step of a job, on the way or ended.
type step struct {
	cmd       *exec.Cmd
	log       bytes.Buffer
	workspace string
	commands  string // path of a file that holds the path of the folder with the step's command files
	ended     chan struct{}
}

// startStep starts the image on a workspace as the runner does: inputs over action.yml's defaults, by environment. The
// host's network stands in for the internet, where Neon would be.
func startStep(t *testing.T, workspace string, inputs map[string]string) *step {
	t.Helper()
	temp := t.TempDir()
	label := "e2e=" + temp // finds the container again, whatever became of its client
	s := &step{workspace: workspace, commands: filepath.Join(temp, "commands"), ended: make(chan struct{})}
	s.cmd = exec.Command(environment(t, "E2E_RUN_AS_RUNNER"), environment(t, "E2E_IMAGE"), workspace, "--network", "host", "--label", label)
	s.cmd.Stdout, s.cmd.Stderr = &s.log, &s.log
	s.cmd.Env = append(os.Environ(), "RUNNER_TEMP_HOST="+temp, "FC_FILE="+s.commands)
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
		if left, _ := exec.Command("docker", "ps", "--all", "--quiet", "--filter", "label="+label).Output(); len(left) > 0 {
			_ = exec.Command("docker", append([]string{"rm", "--force"}, strings.Fields(string(left))...)...).Run()
		}
		<-s.ended
	})
	return s
}

// outcome is what a step left behind.
type outcome struct {
	exit    int
	log     string
	outputs map[string]string
	summary string
	report  report
	// reportText is the report file as it stands.
	reportText string
}

// report is the part of the report file that these tests look at.
type report struct {
	Version int
	Totals  map[string]int
	Error   *struct{ Message string }
	Tenants []struct{ Name, State string }
}

// runStep starts the image and waits for its end.
func runStep(t *testing.T, workspace string, inputs map[string]string) outcome {
	t.Helper()
	return startStep(t, workspace, inputs).wait(t, 5*time.Minute)
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
			t.Logf("a step ended with %d and said:\n%s", o.exit, o.log)
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

// wants compares an output with what it has to be.
func (o outcome) wants(t *testing.T, name, want string) {
	t.Helper()
	if got := o.outputs[name]; got != want {
		t.Errorf("output %s is %q, want %q", name, got, want)
	}
}

// keeps reports every secret that can be read after the run. The lines that tell the runner what to mask are the only
// place for one: the runner takes them out of the log.
func (o outcome) keeps(t *testing.T, secrets []string) {
	t.Helper()
	var shown strings.Builder
	masks := map[string]bool{}
	for line := range strings.Lines(o.log) {
		if value, ok := strings.CutPrefix(strings.TrimSpace(line), "::add-mask::"); ok {
			masks[strings.NewReplacer("%0D", "\r", "%0A", "\n", "%25", "%").Replace(value)] = true
		} else {
			shown.WriteString(line)
		}
	}
	for _, secret := range secrets {
		if !masks[secret] {
			t.Errorf("the log does not mask %q", secret)
		}
		for place, text := range map[string]string{"log": shown.String(), "summary": o.summary, "report": o.reportText} {
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

// newWorkspace is a checkout of a repository whose db/migrations holds the example migrations and the given ones.
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
