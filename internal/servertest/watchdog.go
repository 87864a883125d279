package servertest

import (
	"fmt"
	"io"
	"os/exec"
	"syscall"
)

// Watchdog is a shell that reads from a pipe that this process holds open. If this process ends without having
// dismissed it, even by SIGKILL, it runs a script that ends the server. (A parent-death signal would not reach the
// children of a stopped server, and would not remove any files.)
type Watchdog struct {
	pipe io.WriteCloser
	cmd  *exec.Cmd
}

const waiting = `
trap '' INT TERM HUP
read -r word
[ "$word" = dismissed ] && exit
`

// Watch starts a watchdog. The script is for /bin/sh, with the server's directory as $1; name is shown in lists of
// processes.
func Watch(name, script, dir string) (*Watchdog, error) {
	cmd := exec.Command("/bin/sh", "-c", waiting+script, name, dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	pipe, err := cmd.StdinPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	return &Watchdog{pipe, cmd}, nil
}

// Dismiss ends the watchdog without running its script.
func (w *Watchdog) Dismiss() error {
	_, err := io.WriteString(w.pipe, "dismissed\n")
	if err == nil {
		err = w.cmd.Wait()
	}
	if err != nil {
		return fmt.Errorf("dismiss a server's watchdog: %w", err)
	}
	return nil
}
