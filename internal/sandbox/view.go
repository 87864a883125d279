package main

import (
	"bytes"
	"fmt"
	"strings"
)

// view shows a step's log as GitHub's page does: masks are obeyed and not shown, groups are collapsed, annotations are
// drawn.
type view struct {
	out   *printer
	rest  []byte // of a line that is not complete
	masks []string
	group string // title of the group that is open
	lines int    // in it
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
		v.line(string(line))
	}
}

func (v *view) line(line string) {
	command, message, ok := strings.Cut(strings.TrimPrefix(line, "::"), "::")
	if !ok || !strings.HasPrefix(line, "::") {
		if v.group != "" {
			v.lines++
			return
		}
		v.show(line)
		return
	}
	message = unescape.Replace(message)
	name, properties, _ := strings.Cut(command, " ")
	switch name {
	case "add-mask":
		v.masks = append(v.masks, message)
	case "group":
		v.group, v.lines = message, 0
	case "endgroup":
		v.show(fmt.Sprintf("  ▸ %s (%d lines, collapsed)", v.group, v.lines))
		v.group = ""
	default:
		v.show(strings.ToUpper(name[:1]) + name[1:] + ": " + message)
		if file, place, ok := strings.Cut(properties, ",line="); ok {
			v.show("  (annotates " + strings.TrimPrefix(file, "file=") + ", line " + place + ")")
		}
	}
}

func (v *view) show(text string) {
	for _, m := range v.masks {
		text = strings.ReplaceAll(text, m, "***")
	}
	for line := range strings.Lines(text) {
		v.out.log(strings.TrimRight(line, "\n"))
	}
}
