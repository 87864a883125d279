package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// printMachine prints what the figures were measured on and with.
func (b *bench) printMachine(ctx context.Context) {
	version := "unknown"
	err := b.server.Superuser(ctx, "postgres", func(conn *pgx.Conn) error {
		return conn.QueryRow(ctx, "show server_version").Scan(&version)
	})
	if err != nil {
		version = err.Error()
	}
	load, _, _ := strings.Cut(strings.TrimSpace(readText("/proc/loadavg")), " ")
	fmt.Printf("%s; %s, %d cores, load %s; %s; PostgreSQL %s, fsync off; dbmate %s; %d rounds\n",
		time.Now().Format(time.DateOnly), processor(), runtime.NumCPU(), load, runtime.Version(), version,
		b.output(ctx, "internal/bench/rivals", "go", "list", "-m", "-f", "{{.Version}}",
			"github.com/amacneil/dbmate/v2"), b.rounds)
	if b.short {
		fmt.Println("\nShort: fewer tenants and rounds. For a first look, not to be quoted.")
	}
}

// processor returns the CPU's name as Linux knows it, or the architecture.
func processor() string {
	for line := range strings.Lines(readText("/proc/cpuinfo")) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH
}

func readText(path string) string {
	text, _ := os.ReadFile(path) // empty on other systems
	return string(text)
}

// output returns what a command prints in a directory of the checkout, or "unknown".
func (b *bench) output(ctx context.Context, dir, program string, args ...string) string {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir = b.root + "/" + dir
	text, err := cmd.Output()
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(text))
}
