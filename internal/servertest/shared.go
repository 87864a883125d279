package servertest

import (
	"fmt"
	"os"
	"sync"
	"testing"
)

// Shared is the one server that all tests of a package use.
type Shared[S interface{ Stop() error }] struct {
	mu      sync.Mutex
	server  S
	started bool
	err     error
}

// Get returns the server. The first call starts it, and later calls repeat an error of that start.
func (s *Shared[S]) Get(start func() (S, error)) (S, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.started {
		s.server, s.err = start()
		s.started = true
	}
	return s.server, s.err
}

// Stop stops the server if it was started.
func (s *Shared[S]) Stop() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.started || s.err != nil {
		return nil
	}
	return s.server.Stop()
}

// Main is the body of a TestMain: it runs the tests, stops the server and exits. name is the server's, for its errors.
// stops stop what else the package's tests share.
func (s *Shared[S]) Main(m *testing.M, name string, stops ...func() error) {
	code := m.Run()
	if err := s.Stop(); err != nil {
		fmt.Fprintf(os.Stderr, "stop the shared %s server: %v\n", name, err)
		code = max(code, 1)
	}
	for _, stop := range stops {
		if err := stop(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = max(code, 1)
		}
	}
	os.Exit(code)
}
