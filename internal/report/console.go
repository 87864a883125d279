// Package report tells people and programs what a run did: lines and annotations in the log while it runs, and at its
// end the step summary, the outputs and the report file. What it shows may hold text from a database, a migration or a
// tenant's name, and none of that text can act as a workflow command, as Markdown or as another output.
package report

import (
	"bytes"
	"crypto/sha256"
	"io"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/sethvargo/go-githubactions"
)

// Console is the only way to the log. It is safe for concurrent use, and prints what one call writes without
// interruption. A failed write is ignored: there is nowhere else to report it, and the summary and the report file do
// not depend on it.
type Console struct {
	mu      sync.Mutex
	w       io.Writer
	actions bool
	masked  map[[sha256.Size]byte]bool // hashes, because a large fleet's connection strings would take more room
}

// NewConsole returns a console on w. With actions it writes workflow commands for GitHub's runner; without, plain text.
func NewConsole(w io.Writer, actions bool) *Console {
	return &Console{w: w, actions: actions, masked: map[[sha256.Size]byte]bool{}}
}

// Line prints one message. If it has several lines, those after the first are indented, so that none can pass for
// another message.
func (c *Console) Line(text string) {
	var b bytes.Buffer
	appendLine(&b, text)
	c.write(&b)
}

// Mask makes the runner replace each text, and each line of a text with several, in everything that any step of the
// job logs from now on. Texts of fewer than minMask characters are left alone: they occur everywhere, a log without the
// letter "a" helps nobody, and a secret that short is none. Each text is announced once: the runner searches every line
// of the job for every mask, and tenants may share a password. Outside Actions it does nothing.
func (c *Console) Mask(forms ...string) {
	const minMask = 3
	if !c.actions {
		return
	}
	var b bytes.Buffer
	c.mu.Lock()
	defer c.mu.Unlock()
	mask := func(text string) {
		hash := sha256.Sum256([]byte(text))
		if c.masked[hash] || utf8.RuneCountInString(strings.TrimSpace(text)) < minMask {
			return
		}
		c.masked[hash] = true
		commands(&b).AddMask(text)
	}
	for _, form := range forms {
		mask(form)
		if parts := strings.FieldsFunc(form, func(r rune) bool { return r == '\r' || r == '\n' }); len(parts) > 1 {
			for _, part := range parts {
				mask(part)
			}
		}
	}
	_, _ = c.w.Write(b.Bytes()) // before anybody else can write a line
}

// Group prints body under a title: collapsed in Actions, indented elsewhere.
func (c *Console) Group(title string, body []byte) {
	var b bytes.Buffer
	c.appendGroup(&b, title, body)
	c.write(&b)
}

// Error prints an error as an annotation, at a file and line of the workspace where file is not empty.
func (c *Console) Error(text, file string, line int) { c.annotate("error", text, file, line) }

// Warning prints a warning as an annotation; see [Console.Error].
func (c *Console) Warning(text, file string, line int) { c.annotate("warning", text, file, line) }

// Notice prints a notice as an annotation; see [Console.Error].
func (c *Console) Notice(text, file string, line int) { c.annotate("notice", text, file, line) }

func (c *Console) annotate(kind, text, file string, line int) {
	var b bytes.Buffer
	if !c.actions {
		if file != "" {
			text = position(file, line) + ": " + text
		}
		appendLine(&b, kind+": "+text)
		c.write(&b)
		return
	}
	properties := map[string]string{}
	if file != "" {
		properties["file"] = visible(file)
		if line > 0 {
			properties["line"] = strconv.Itoa(line)
		}
	}
	// The runner prints the message's lines to the log again, where the log viewer interprets "##[group]": they are
	// made inert like any other line.
	message := strings.Join(splitLines(text), "\n")
	log := commands(&b).WithFieldsMap(properties)
	switch kind {
	case "error":
		log.Errorf("%s", message)
	case "warning":
		log.Warningf("%s", message)
	default:
		log.Noticef("%s", message)
	}
	c.write(&b)
}

// write prints one call's output in one piece.
func (c *Console) write(b *bytes.Buffer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, _ = c.w.Write(b.Bytes())
}

const indent = "  "

func appendLine(b *bytes.Buffer, text string) {
	for i, line := range splitLines(text) {
		if i > 0 {
			b.WriteString(indent)
		}
		b.WriteString(line)
		b.WriteByte('\n')
	}
}

func (c *Console) appendGroup(b *bytes.Buffer, title string, body []byte) {
	title = inert(oneLine(title))
	if c.actions {
		commands(b).Group(title)
	} else {
		b.WriteString(title + "\n")
	}
	for _, line := range splitLines(string(body)) {
		b.WriteString(indent + line + "\n")
	}
	if c.actions {
		commands(b).EndGroup()
	}
}

// commands writes workflow commands to a buffer, which can't fail as the log can: go-githubactions panics on errors.
func commands(b *bytes.Buffer) *githubactions.Action {
	return githubactions.New(githubactions.WithWriter(b))
}

// position writes a place in a file as compilers do: "file:line".
func position(file string, line int) string {
	if line > 0 {
		return file + ":" + strconv.Itoa(line)
	}
	return file
}
