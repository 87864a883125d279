package sweep

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/org/neon-tenants-action/internal/action"
)

// workerVariable makes the test's own binary a worker. It names the folder of action.yml.
const workerVariable = "SWEEP_WORKER"

// worker is a process that makes one run after another, so that whatever a run leaks adds up. Users' processes make one
// run each, and would not show it.
type worker struct {
	to   *json.Encoder
	from *json.Decoder
}

// done is what a worker answers after a run.
type done struct {
	Failed bool
	Log    string
}

// holds is what a process holds once a run has ended and its idle connections are closed.
type holds struct {
	Goroutines, Files int
	Heap              uint64 // bytes
}

func (w *world) startWorker() *worker {
	w.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		w.Fatal(err)
	}
	cmd := exec.CommandContext(w.Context(), os.Args[0])
	cmd.Env = append(job(w.variables).environ(), workerVariable+"="+root)
	cmd.Dir, cmd.Stderr = w.workspace, os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		w.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		w.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() {
		_ = in.Close()
		_ = cmd.Wait() // it may have been killed with the test
	})
	return &worker{json.NewEncoder(in), json.NewDecoder(out)}
}

// runIn makes a run in a worker, and says what that holds afterwards.
func (w *world) runIn(worker *worker, inputs ...string) (outcome, holds) {
	w.Helper()
	j := w.job(inputs...)
	w.proxy.arm(point{}, nil)
	var answer done
	if err := errors.Join(worker.to.Encode(j), worker.from.Decode(&answer)); err != nil {
		w.Fatalf("the worker: %v", err)
	}
	var after holds
	for range 2 { // a connection is idle, and can be ended, a moment after its last answer
		w.proxy.disarm()
		if err := errors.Join(worker.to.Encode(job(nil)), worker.from.Decode(&after)); err != nil {
			w.Fatalf("the worker: %v", err)
		}
	}
	var err error
	if answer.Failed {
		err = errors.New("the run failed")
	}
	return w.left(j, err, answer.Log), after
}

// work makes the runs that it is told, and says what it holds if it is told none. It returns the process's exit code.
func work(in io.Reader, out io.Writer) int {
	definition, err := os.ReadFile(filepath.Join(os.Getenv(workerVariable), "action.yml"))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	orders, answers := json.NewDecoder(in), json.NewEncoder(out)
	for {
		var j job
		if err := orders.Decode(&j); err != nil {
			return 0 // the test has ended
		}
		if j == nil {
			if answers.Encode(measure()) != nil {
				return 1
			}
			continue
		}
		var log bytes.Buffer
		env := action.Env{Definition: definition, Version: "soak", Environ: j.environ, Stdout: &log,
			LookupEnv: func(name string) (string, bool) { value, ok := j[name]; return value, ok }}
		err := action.Run(context.Background(), env)
		if err := answers.Encode(done{err != nil, log.String()}); err != nil {
			return 1
		}
	}
}

// measure waits until a run's connections have been closed, and not for ever.
func measure() (h holds) {
	const quiet, most = 300 * time.Millisecond, 5 * time.Second
	for waited := time.Duration(0); waited < most; waited += quiet {
		goroutines := runtime.NumGoroutine()
		time.Sleep(quiet)
		if runtime.NumGoroutine() == goroutines {
			break
		}
	}
	debug.FreeOSMemory()
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	files, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		panic(err) // Linux has it
	}
	return holds{runtime.NumGoroutine(), len(files), memory.HeapAlloc}
}
