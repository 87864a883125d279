package pgtest

import (
	"fmt"
	"io"
	"os/exec"
	"syscall"
)

// watchdog is a shell that waits at a pipe whose other end this process holds. When this process is gone without having
// dismissed it, killed included, it ends the server that is running in the directory, even a paused one, and removes the
// directory. (A parent-death signal would neither reach through a stopped server nor remove anything.)
type watchdog struct {
	pipe io.WriteCloser
	cmd  *exec.Cmd
}

// An immediate shutdown (QUIT) lets the server give its shared memory back; KILL is for one that does not answer.
const watchdogScript = `
trap '' INT TERM HUP
read -r word
[ "$word" = dismissed ] && exit
read -r pid <"$1/data/postmaster.pid"
if [ -n "$pid" ]; then
	kill -CONT "$pid" $(cat /proc/"$pid"/task/*/children)
	kill -QUIT "$pid"
	for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
		kill -0 "$pid" || break
		sleep 0.25
	done
	kill -KILL $(cat /proc/"$pid"/task/*/children) "$pid"
fi
rm -rf "$1"
`

func watch(dir string) (*watchdog, error) {
	cmd := exec.Command("/bin/sh", "-c", watchdogScript, "pgtest-watchdog", dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	pipe, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("start PostgreSQL's watchdog: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start PostgreSQL's watchdog: %w", err)
	}
	return &watchdog{pipe, cmd}, nil
}

// dismiss ends the watchdog without its doing anything.
func (w *watchdog) dismiss() error {
	if _, err := io.WriteString(w.pipe, "dismissed\n"); err != nil {
		return fmt.Errorf("dismiss PostgreSQL's watchdog: %w", err)
	}
	if err := w.cmd.Wait(); err != nil {
		return fmt.Errorf("dismiss PostgreSQL's watchdog: %w", err)
	}
	return nil
}
