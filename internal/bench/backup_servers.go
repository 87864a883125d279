package main

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// serversCPU is the CPU time that the two servers have used so far, user and system: the work that a way leaves to
// others.
type serversCPU struct{ database, store time.Duration }

// serversCPU waits until the database server's processes for the tenants have ended, because only then their time
// counts.
func (s *backupSite) serversCPU(ctx context.Context) (now serversCPU, err error) {
	if err := s.settle(ctx); err != nil {
		return now, err
	}
	for deadline := time.Now().Add(10 * time.Second); s.backends() > 0 && time.Now().Before(deadline); {
		time.Sleep(5 * time.Millisecond)
	}
	if now.database, err = processCPU(s.server.PID()); err != nil {
		return now, err
	}
	now.store, err = processCPU(s.store.PID())
	return now, err
}

// backends counts the server's processes for the tenants, and those of any kind that have ended but are not counted
// yet: pg_stat_activity drops them a little earlier.
func (s *backupSite) backends() (n int) {
	pid := s.server.PID()
	for _, child := range strings.Fields(readText(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))) {
		ended := strings.Contains(readText("/proc/"+child+"/stat"), ") Z ")
		if ended || strings.HasPrefix(readText("/proc/"+child+"/cmdline"), "postgres: "+s.role) {
			n++
		}
	}
	return n
}

func (c serversCPU) since(before serversCPU) serversCPU {
	return serversCPU{c.database - before.database, c.store - before.store}
}

// processCPU returns the CPU time of a process and of its children that have ended. /proc has it in hundredths of a
// second.
func processCPU(pid int) (time.Duration, error) {
	const (
		user, ofEndedChildren = 11, 14 // fields after the program's name: user, system, and the same of the children
		tick                  = 10 * time.Millisecond
	)
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(string(text)[strings.LastIndexByte(string(text), ')')+1:])
	if len(fields) <= ofEndedChildren {
		return 0, fmt.Errorf("read the CPU time of process %d: %q", pid, text)
	}
	var sum time.Duration
	for _, field := range fields[user : ofEndedChildren+1] {
		ticks, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("read the CPU time of process %d: %w", pid, err)
		}
		sum += time.Duration(ticks) * tick
	}
	return sum, nil
}
