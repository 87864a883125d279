package report

import (
	"strings"
	"unicode"
)

// This file reads a log as GitHub's runner does. It follows the runner's ActionCommand and OutputManager, and is more
// suspicious: every character that anything takes for a line break ends a line, and characters that culture-sensitive
// comparison may skip are skipped.

// runnerCommand is a workflow command that the runner would obey.
type runnerCommand struct {
	name       string
	properties map[string]string
	data       string
}

var runnerCommands = map[string]bool{
	"add-mask": true, "group": true, "endgroup": true, "error": true, "warning": true, "notice": true, "debug": true,
	"set-env": true, "set-output": true, "save-state": true, "add-path": true, "stop-commands": true, "echo": true,
	"add-matcher": true, "remove-matcher": true, "internal-set-repo-path": true, "section": true, "command": true,
}

// parseLog returns the commands in a log and the other lines.
func parseLog(log string) (found []runnerCommand, text []string) {
	for _, line := range strings.FieldsFunc(log,
		func(r rune) bool { return strings.ContainsRune("\n\r\v\f\u0085\u2028\u2029", r) }) {
		folded := strings.Map(func(r rune) rune {
			if unicode.IsControl(r) && r != '\t' ||
				unicode.In(r, unicode.Cf, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector) {
				return -1
			}
			return r
		}, line)
		command, ok := parseV2(line)
		if !ok {
			command, ok = parseV2(folded)
		}
		if !ok {
			command, ok = parseV1(line)
		}
		if !ok {
			command, ok = parseV1(folded)
		}
		if ok {
			found = append(found, command)
		} else {
			text = append(text, line)
		}
	}
	return found, text
}

// parseV2 is ActionCommand.TryParseV2: "::name key=value,…::data" after white space.
func parseV2(line string) (runnerCommand, bool) {
	rest, ok := strings.CutPrefix(strings.TrimLeftFunc(line, unicode.IsSpace), "::")
	if !ok {
		return runnerCommand{}, false
	}
	info, data, ok := strings.Cut(rest, "::")
	name, properties, _ := strings.Cut(info, " ")
	if !ok || !runnerCommands[strings.ToLower(name)] {
		return runnerCommand{}, false
	}
	c := runnerCommand{name: strings.ToLower(name), properties: map[string]string{}}
	for _, p := range strings.Split(strings.TrimSpace(properties), ",") {
		if k, v, ok := strings.Cut(p, "="); ok {
			c.properties[strings.ToLower(k)] = unescape(v, "%0D", "\r", "%0A", "\n", "%3A", ":", "%2C", ",", "%25", "%")
		}
	}
	c.data = unescape(data, "%0D", "\r", "%0A", "\n", "%25", "%")
	return c, true
}

// parseV1 is ActionCommand.TryParse: "##[name …]data" anywhere. Any name counts here, because the
// log viewer knows others.
func parseV1(line string) (runnerCommand, bool) {
	_, rest, ok := strings.Cut(line, "##[")
	info, data, closed := strings.Cut(rest, "]")
	if !ok || !closed {
		return runnerCommand{}, false
	}
	name, _, _ := strings.Cut(info, " ")
	return runnerCommand{name: "##" + name, data: data}, true
}

// unescape replaces one mapping after another, in the runner's order.
func unescape(s string, pairs ...string) string {
	for i := 0; i < len(pairs); i += 2 {
		s = strings.ReplaceAll(s, pairs[i], pairs[i+1])
	}
	return s
}

// parseOutputs reads GITHUB_OUTPUT as the runner's file commands do. ok is false if the runner would refuse
// the file.
func parseOutputs(file string) (outputs []Output, ok bool) {
	for file != "" {
		line, rest, _ := strings.Cut(file, "\n")
		file = rest
		if line == "" {
			continue
		}
		equals, heredoc := strings.Index(line, "="), strings.Index(line, "<<")
		switch {
		case equals >= 0 && (heredoc < 0 || equals < heredoc):
			outputs = append(outputs, Output{line[:equals], line[equals+1:]})
		case heredoc > 0 && line[heredoc+2:] != "":
			delimiter := line[heredoc+2:]
			var value []string
			for ended := false; !ended; {
				next, rest, more := strings.Cut(file, "\n")
				if file = rest; next == delimiter {
					ended = true
				} else if !more {
					return nil, false
				} else {
					value = append(value, next)
				}
			}
			outputs = append(outputs, Output{line[:heredoc], strings.Join(value, "\n")})
		default:
			return nil, false
		}
	}
	return outputs, true
}
