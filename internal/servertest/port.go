package servertest

import (
	"context"
	"fmt"
	"net"
	"strings"
)

// portTries is how many ports are tried: a free port is free until another process takes it.
const portTries = 5

// OnFreePort calls start with a free port of 127.0.0.1, and with another one while its error says that the address is
// already in use.
func OnFreePort(ctx context.Context, start func(port int) error) error {
	for try := 1; ; try++ {
		port, err := freePort()
		if err != nil {
			return fmt.Errorf("find a free port: %w", err)
		}
		err = start(port)
		if err == nil || try == portTries || ctx.Err() != nil || !strings.Contains(err.Error(), "already in use") {
			return err
		}
	}
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	return l.Addr().(*net.TCPAddr).Port, l.Close()
}
