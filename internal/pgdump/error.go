package pgdump

import (
	"cmp"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"github.com/org/neon-tenants-action/internal/postgres"
	"github.com/org/neon-tenants-action/internal/words"
)

// ProgramError is the error of a program of PostgreSQL's that failed, or that exited well without having done its work.
type ProgramError struct {
	Program string // pg_dump, pg_restore
	Major   int
	Task    string // "dump database \"app\" on db.example.com"
	Problem string // what is wrong, if it is not the exit status
	Output  string // what it wrote to stderr, cut in the middle if it is long, without the password
	Err     error  // how it exited; may be nil
}

func (e *ProgramError) Error() string {
	text := e.Task + ": " + e.Program + " " + e.ending()
	if message := e.message(); message != "" {
		text += ": " + message
	}
	return text
}

func (e *ProgramError) Unwrap() error { return e.Err }

// ending describes how the program ended.
func (e *ProgramError) ending() string {
	var exit *exec.ExitError
	switch {
	case e.Problem != "":
		return e.Problem
	case errors.As(e.Err, &exit) && exit.Exited():
		return fmt.Sprintf("failed with exit status %d", exit.ExitCode())
	case errors.As(e.Err, &exit):
		if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() {
			return fmt.Sprintf("was ended by a signal (%s)", status.Signal())
		}
	}
	return fmt.Sprintf("failed: %v", e.Err)
}

// message is the error in what the program wrote: its last lines, or, if a single line was too long to be kept, those
// before it.
func (e *ProgramError) message() string {
	head, tail, cut := strings.Cut(e.Output, excerptCut)
	if !cut {
		return e.lastLines(e.Output)
	}
	_, rest, _ := strings.Cut(tail, "\n") // the first line is incomplete
	return cmp.Or(e.lastLines(rest), e.lastLines(head))
}

// lastLines is the end of what the program wrote, without its name and its warnings. The query that failed, which may
// name thousands of tables, is cut.
func (e *ProgramError) lastLines(output string) string {
	const most, longest = 4, 300 // lines, bytes of a line
	var lines []string
	for line := range strings.SplitSeq(output, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || strings.Contains(line, ": warning: ") {
			continue
		}
		for _, noise := range []string{e.Program + ": ", "error: ", "fatal: ", "detail: "} {
			line = strings.TrimPrefix(line, noise)
		}
		if len(line) > longest {
			line = printable(line[:longest]) + "…"
		}
		lines = append(lines, line)
	}
	if over := len(lines) - most; over > 0 {
		lines = lines[over:]
	}
	return strings.Join(lines, "; ")
}

// StallError is the error of a server or a network that sent nothing for too long.
type StallError struct {
	Task   string
	Waited time.Duration
}

func (e *StallError) Error() string {
	return fmt.Sprintf("%s: nothing came from the server for %s", e.Task, e.Waited)
}

// Remedy says what to look at.
func (e *StallError) Remedy() string {
	return "see whether the server answers, whether another session holds a lock on a table, and whether something " +
		"between it and this runner drops packets; then run again"
}

// Why a stored backup cannot be used.
const (
	UnusableBackup  postgres.Cause = "backup unusable" // damaged, or never whole
	EncryptedBackup postgres.Cause = "backup encrypted"
	OtherKey        postgres.Cause = "backup encrypted for another key"
	NewerBackup     postgres.Cause = "backup of a newer major"
	NewerArchive    postgres.Cause = "archive of a newer major"
)

// BackupError is the error of a stored backup that cannot be used.
type BackupError struct {
	Cause   postgres.Cause // "": [UnusableBackup]
	Problem string
	Major   int // with [NewerBackup]: the backup's
	Err     error
}

func (e *BackupError) Error() string { return "the backup cannot be used: " + e.Problem }

func (e *BackupError) Unwrap() error { return e.Err }

// NotEmptyError is the error of a target that holds something and may not be emptied.
type NotEmptyError struct {
	Host, Database string
	Objects        []postgres.Object
}

func (e *NotEmptyError) Error() string {
	held := words.ListFunc(e.Objects, 5, func(o postgres.Object) string { return o.Type + " " + o.Name })
	return fmt.Sprintf("the target database %q on %s is not empty: it holds %s", e.Database, e.Host, held)
}

// printable is a text of the server's, which is in the backup's encoding, in a form for messages.
func printable(text string) string { return strings.ToValidUTF8(text, "?") }

// oneLine is a program's message on one line.
func oneLine(text string) string {
	return strings.Join(strings.Fields(text), " ")
}
