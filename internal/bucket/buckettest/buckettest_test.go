package buckettest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestMain lets the test binary be the program that is killed with a server running.
func TestMain(m *testing.M) {
	if os.Getenv("BUCKETTEST_VICTIM") == "" {
		Main(m)
	}
	s, err := Start(context.Background(), Options{NoTLS: true})
	if err != nil {
		fmt.Println("error:", err)
		os.Exit(1)
	}
	fmt.Println(s.dir, s.cmd.Process.Pid)
	select {}
}

func TestNoOrphans(t *testing.T) {
	if _, err := Find(); err != nil {
		Need(t, err)
	}
	victim := exec.Command(os.Args[0])
	victim.Env = append(os.Environ(), "BUCKETTEST_VICTIM=yes")
	out, err := victim.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := victim.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || strings.HasPrefix(line, "error:") {
		t.Fatalf("the victim says %q: %v", line, err)
	}
	var dir string
	var pid int
	if _, err := fmt.Sscan(line, &dir, &pid); err != nil {
		t.Fatal(err)
	}
	if err := victim.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = victim.Wait() // killed
	deadline := time.Now().Add(20 * time.Second)
	for {
		_, statErr := os.Stat(dir)
		if errors.Is(statErr, fs.ErrNotExist) && errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s (%v) or the process %d is left", dir, statErr, pid)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func TestStop(t *testing.T) {
	s, err := Start(t.Context(), Options{})
	Need(t, err)
	if err := s.CreateBucket(t.Context(), "one", true); err != nil {
		t.Error(err)
	}
	for range 2 {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	}
	if _, err := os.Stat(s.dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%s is left: %v", s.dir, err)
	}
}
