// Command sandbox runs everything that the action talks to on this machine: Neon's API over a real PostgreSQL with a
// small fleet in it, an S3 store and GitHub's API. `serve` keeps it running for any client; `demo` runs the action
// against it as GitHub's runner would, and `pictures` keeps what two such runs leave for people to look at.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	// A closed terminal ends the sandbox as Ctrl-C does: with everything stopped and removed. So does a closed pipe, by
	// the write that fails (printer): its signal would come of any client that hangs up while it is being answered, too.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	signal.Ignore(syscall.SIGPIPE)
	err := realMain(ctx, os.Args[1:])
	if err != nil && !errors.Is(err, context.Canceled) && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "sandbox:", err)
		os.Exit(1)
	}
}

func realMain(ctx context.Context, args []string) error {
	commands := map[string]func(context.Context, []string) error{"serve": serve, "demo": demo, "pictures": pictures}
	if len(args) > 0 {
		if run, ok := commands[args[0]]; ok {
			return run(ctx, args[1:])
		}
	}
	return errors.New("usage: sandbox serve [--env-file FILE] [--port PORT] [--tenants N] | sandbox demo | " +
		"sandbox pictures [--dir DIR]")
}
