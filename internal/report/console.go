// Package report tells people and programs what a run did: lines and annotations in the log while it goes, and at its end
// the step summary, the outputs and the report file. Everything it shows may hold text from a database, a migration or a
// tenant's name, and nothing of that can act as a workflow command, as Markdown or as another output.
package report

import (
	"bytes"
	"io"
	"strconv"
	"strings"
	"sync"

	"github.com/sethvargo/go-githubactions"
)

// Console is the one way to the log. It is safe for concurrent use; what one call prints stands together. A write that
// fails is lost silently: there is no other place to tell of it, and the summary and the report file do not depend on it.
type Console struct {
	mu      sync.Mutex
	w       io.Writer
	actions bool
}

// NewConsole returns a console on w. With actions it speaks to the runner in workflow commands; without, in plain text.
func NewConsole(w io.Writer, actions bool) *Console {
	return &Console{w: w, actions: actions}
}

// Line prints one message. Where it holds line breaks, its further lines are indented, so that no text can pass for a
// message of its own.
func (c *Console) Line(text string) {
	var b bytes.Buffer
	appendLine(&b, text)
	c.write(&b)
}

// Mask makes the runner replace every given text in all that is logged from here on, by any step of the job; of a text
// with several lines also each line. Texts under minMask characters are left alone: they occur everywhere, a log
// without the letter "a" helps nobody, and a secret that short is none. Outside Actions it does nothing.
func (c *Console) Mask(forms ...string) {
	const minMask = 3
	if !c.actions {
		return
	}
	var b bytes.Buffer
	mask := func(text string) {
		if len([]rune(strings.TrimSpace(text))) >= minMask {
			commands(&b).AddMask(text)
		}
	}
	for _, form := range forms {
		mask(form)
		if parts := strings.FieldsFunc(form, func(r rune) bool { return r == '\r' || r == '\n' }); len(parts) > 1 {
			for _, part := range parts {
				mask(part)
			}
		}
	}
	c.write(&b)
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
	// The runner prints the message's lines back to the log, where the log viewer reads "##[group]" again: they are
	// made inert like every other line.
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

// write prints what one call has to say, in one piece.
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

// commands writes workflow commands to a buffer, which unlike the log itself can't fail: go-githubactions panics then.
func commands(b *bytes.Buffer) *githubactions.Action {
	return githubactions.New(githubactions.WithWriter(b))
}

// position writes a place in a file as compilers do.
func position(file string, line int) string {
	if line > 0 {
		return file + ":" + strconv.Itoa(line)
	}
	return file
}
