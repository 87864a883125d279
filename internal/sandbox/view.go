package main

import (
	"bytes"
	"io"
	"strings"
)

// view shows a step's log as GitHub's page does: masks are obeyed and not shown, groups and annotations are drawn.
type view struct {
	out   io.Writer
	rest  []byte // of a line that is not complete
	masks []string
	group bool
}

// unescape undoes what the runner undoes in a command's message.
var unescape = strings.NewReplacer("%0D", "\r", "%0A", "\n", "%25", "%")

// Write implements io.Writer; what follows the last line break waits for the next one.
func (v *view) Write(p []byte) (int, error) {
	v.rest = append(v.rest, p...)
	for {
		line, rest, ok := bytes.Cut(v.rest, []byte("\n"))
		if !ok {
			return len(p), nil
		}
		v.rest = rest
		if err := v.line(string(line)); err != nil {
			return 0, err
		}
	}
}

func (v *view) line(line string) error {
	command, message, ok := strings.Cut(strings.TrimPrefix(line, "::"), "::")
	if !ok || !strings.HasPrefix(line, "::") {
		indent := ""
		if v.group {
			indent = "  │ "
		}
		return v.show(indent + line)
	}
	message = unescape.Replace(message)
	name, properties, _ := strings.Cut(command, " ")
	switch name {
	case "add-mask":
		v.masks = append(v.masks, message)
		return nil
	case "group":
		v.group = true
		return v.show("  ▾ " + message)
	case "endgroup":
		v.group = false
		return nil
	}
	text := strings.ToUpper(name[:1]) + name[1:] + ": " + strings.ReplaceAll(message, "\n", "\n    ")
	if properties != "" {
		text += "\n    (shown at " + strings.ReplaceAll(properties, ",line=", ", line ") + ")"
	}
	return v.show(text)
}

func (v *view) show(line string) error {
	for _, m := range v.masks {
		line = strings.ReplaceAll(line, m, "***")
	}
	_, err := io.WriteString(v.out, line+"\n")
	return err
}
