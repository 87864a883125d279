// Command neon-tenants-action runs a fleet of Postgres databases, one per tenant, as a GitHub Action or from a shell.
package main

import (
	"context"
	_ "embed"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/org/neon-tenants-action/internal/action"
)

//go:embed action.yml
var definition []byte

// version is set when the image of a release is built.
var version = "dev"

func main() {
	ctx, cancel := context.WithCancelCause(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		cancel(fmt.Errorf("cancelled by %s", <-signals))
		select { // the runner sends SIGTERM 7.5 s after SIGINT, then SIGKILL: exit before that, even if something hangs
		case <-signals:
		case <-time.After(6800 * time.Millisecond):
		}
		os.Exit(130)
	}()
	env := action.Env{Definition: definition, Version: version, Args: os.Args[1:],
		LookupEnv: os.LookupEnv, Environ: os.Environ, Stdout: os.Stdout}
	if err := action.Run(ctx, env); err != nil {
		os.Exit(1) // the error has been reported
	}
}
