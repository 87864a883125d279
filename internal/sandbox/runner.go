package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// runner starts the action as GitHub's runner does: inputs as variables, files for outputs and summary.
type runner struct {
	program, workspace, temp string
	environment              [][2]string
	out                      *printer
	steps                    int
	summary                  string // of the step before
}

// step is one run of the action, and how it has to end.
type step struct {
	// inputs are those that a workflow would write, NAME=VALUE; the mode comes first.
	inputs []string
	// bucket adds the inputs of the modes that use the bucket.
	bucket  bool
	fails   bool
	outputs []string // NAME=VALUE
}

// inputs returns a step's inputs as a workflow has them, and as the program gets them: with the sandbox's addresses,
// which a workflow on Neon and AWS does not need.
func (r *runner) inputs(s step) (shown, given []string) {
	value := map[string]string{}
	for _, e := range r.environment {
		value[e[0]] = e[1]
	}
	shown = append(shown, s.inputs[0], "neon-api-key=${{ secrets.NEON_API_KEY }}")
	given = append(given, s.inputs[0], "neon-api-key="+value["NEON_API_KEY"], "neon-api-url="+value["NEON_API_URL"])
	if s.bucket {
		bucket := []string{
			"s3-bucket=" + value["S3_BUCKET"], "aws-region=" + value["AWS_REGION"],
			"role-to-assume=" + value["ROLE_TO_ASSUME"],
		}
		shown = append(shown, bucket...)
		given = append(slices.Concat(given, bucket), "s3-endpoint="+value["S3_ENDPOINT"], "s3-path-style=true")
	}
	for _, input := range s.inputs[1:] {
		given = append(given, input)
		name, _, _ := strings.Cut(input, "=")
		if secret := secretInputs[name]; secret != "" {
			input = name + "=${{ secrets." + secret + " }}"
		}
		shown = append(shown, input)
	}
	return shown, given
}

// secretInputs are the inputs that a workflow takes from secrets, by their names.
var secretInputs = map[string]string{"github-token": "FLEET_TOKEN", "verify-database-url": "VERIFY_DATABASE_URL"}

// step runs the action once, shows its inputs, its log and its outputs, and keeps its summary.
func (r *runner) step(ctx context.Context, s step) error {
	r.steps++
	output, summary := r.file("output"), r.file("summary")
	shown, given := r.inputs(s)
	r.out.with(shown)
	cmd := r.command(ctx, given)
	cmd.Env = append(cmd.Env, "GITHUB_OUTPUT="+output, "GITHUB_STEP_SUMMARY="+summary)
	err := cmd.Run()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if (err != nil) != s.fails {
		return fmt.Errorf("the action ended with %v, which the demo does not expect", cmd.ProcessState)
	}
	if err := expect(output, s.outputs); err != nil {
		return err
	}
	r.out.outputs(s.outputs)
	text, err := os.ReadFile(summary)
	r.summary = string(text)
	return err
}

// runID is the workflow run's id.
const runID = "14923871102"

// file is where this step keeps something.
func (r *runner) file(name string) string {
	return filepath.Join(r.temp, fmt.Sprintf("%s-%d", name, r.steps))
}

// command is the action with nothing of this process's environment but the path.
func (r *runner) command(ctx context.Context, inputs []string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, r.program)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	cmd.Dir = r.workspace
	cmd.Stdout, cmd.Stderr = &view{out: r.out}, os.Stderr
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + r.temp, "CI=true", "GITHUB_ACTIONS=true",
		"GITHUB_WORKSPACE=" + r.workspace, "GITHUB_RUN_ID=" + runID,
	}
	for _, e := range r.environment {
		cmd.Env = append(cmd.Env, e[0]+"="+e[1])
	}
	for _, input := range inputs {
		name, value, _ := strings.Cut(input, "=")
		cmd.Env = append(cmd.Env, "INPUT_"+strings.ToUpper(name)+"="+value)
	}
	return cmd
}

// expect reads the outputs that a step gave and compares some of them, NAME=VALUE.
func expect(path string, outputs []string) error {
	given, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	for _, want := range outputs {
		name, value, _ := strings.Cut(want, "=")
		if !strings.Contains(string(given), name+"<<") || !strings.Contains(string(given), "\n"+value+"\n") {
			return fmt.Errorf("the output %s is not %s:\n%s", name, value, given)
		}
	}
	return nil
}
