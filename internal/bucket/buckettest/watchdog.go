package buckettest

import (
	"fmt"
	"io"
	"os/exec"
	"syscall"
)

// watchdog is a shell that waits at a pipe whose other end this process holds. When this process is gone without having
// dismissed it, killed included, it kills the server whose process id stands in the directory, and removes the directory.
type watchdog struct {
	pipe io.WriteCloser
	cmd  *exec.Cmd
}

const watchdogScript = `
trap '' INT TERM HUP
read -r word
[ "$word" = dismissed ] && exit
read -r pid <"$1/pid" && kill -KILL "$pid"
for _ in 1 2 3 4 5 6 7 8; do
	rm -rf "$1" && exit
	sleep 0.25
done
`

func watch(dir string) (*watchdog, error) {
	cmd := exec.Command("/bin/sh", "-c", watchdogScript, "buckettest-watchdog", dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	pipe, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("start MinIO's watchdog: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start MinIO's watchdog: %w", err)
	}
	return &watchdog{pipe, cmd}, nil
}

// dismiss ends the watchdog without its doing anything.
func (w *watchdog) dismiss() error {
	if _, err := io.WriteString(w.pipe, "dismissed\n"); err != nil {
		return fmt.Errorf("dismiss MinIO's watchdog: %w", err)
	}
	if err := w.cmd.Wait(); err != nil {
		return fmt.Errorf("dismiss MinIO's watchdog: %w", err)
	}
	return nil
}
