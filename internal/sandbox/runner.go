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

// inputs returns a step's inputs as a workflow has them, and as the program gets them: with the addresses of the sandbox, which
// no workflow needs that works on Neon and AWS.
func (r *runner) inputs(s step) (shown, given []string) {
	value := map[string]string{}
	for _, e := range r.environment {
		value[e[0]] = e[1]
	}
	shown = append(shown, s.inputs[0], "neon-api-key=${{ secrets.NEON_API_KEY }}")
	given = append(given, s.inputs[0], "neon-api-key="+value["NEON_API_KEY"], "neon-api-url="+value["NEON_API_URL"])
	if s.bucket {
		bucket := []string{"s3-bucket=" + value["S3_BUCKET"], "aws-region=" + value["AWS_REGION"], "role-to-assume=" + value["ROLE_TO_ASSUME"]}
		shown = append(shown, bucket...)
		given = append(slices.Concat(given, bucket), "s3-endpoint="+value["S3_ENDPOINT"], "s3-path-style=true")
	}
	for _, input := range s.inputs[1:] {
		given = append(given, input)
		if strings.HasPrefix(input, "github-token=") {
			input = "github-token=${{ secrets.FLEET_TOKEN }}"
		}
		shown = append(shown, input)
	}
	return shown, given
}

// step runs the action once, shows its inputs, its log and its outputs, and keeps its summary.
func (r *runner) step(ctx context.Context, s step) error {
	r.steps++
	file := func(name string) string { return filepath.Join(r.temp, fmt.Sprintf("%s-%d", name, r.steps)) }
	shown, given := r.inputs(s)
	r.out.with(shown)
	cmd := exec.CommandContext(ctx, r.program)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	cmd.Dir = r.workspace
	cmd.Stdout, cmd.Stderr = &view{out: r.out}, os.Stderr
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + r.temp, "CI=true", "GITHUB_ACTIONS=true",
		"GITHUB_WORKSPACE=" + r.workspace, "GITHUB_OUTPUT=" + file("output"), "GITHUB_STEP_SUMMARY=" + file("summary"),
	}
	for _, e := range r.environment {
		cmd.Env = append(cmd.Env, e[0]+"="+e[1])
	}
	for _, input := range given {
		name, value, _ := strings.Cut(input, "=")
		cmd.Env = append(cmd.Env, "INPUT_"+strings.ToUpper(name)+"="+value)
	}
	if err := cmd.Run(); (err != nil) != s.fails {
		return fmt.Errorf("the action ended with %v, which the demo does not expect", cmd.ProcessState)
	}
	outputs, err := os.ReadFile(file("output"))
	if err != nil {
		return err
	}
	for _, want := range s.outputs {
		name, value, _ := strings.Cut(want, "=")
		if !strings.Contains(string(outputs), name+"<<") || !strings.Contains(string(outputs), "\n"+value+"\n") {
			return fmt.Errorf("the output %s is not %s:\n%s", name, value, outputs)
		}
	}
	r.out.outputs(s.outputs)
	text, err := os.ReadFile(file("summary"))
	r.summary = string(text)
	return err
}
