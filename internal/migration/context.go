package migration

import (
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/org/neon-tenants-action/internal/words"
)

// The server says in which functions an error arose, the innermost first, among texts that may hold rows: statements
// that were put together while they ran, lines of COPY, JSON documents. Only what has the form of a function's line is
// read and shown. Where the server speaks another language than English, that is nothing.

// frame is a line of the server's context.
type frame struct {
	text      string
	function  string // as the server writes it: with its types, or the bare name while it is compiled
	line      int    // of the function's body, from 1; 0 if it has none
	doing     string // "RAISE", "SQL statement"
	compiling bool   // the line is near the error
}

// block is the name of the function that runs a DO statement.
const block = "inline_code_block"

var (
	running = regexp.MustCompile(`^PL/pgSQL function (` + block + `|(?:"[^"]+"|[^\s".()]+)(?:\.(?:"[^"]+"|[^\s".()]+))?` +
		`\([^()']*\))(?: line (\d+))?(?: at ([A-Za-z ]+)| (?:during|while) [a-z' ]+)?$`)
	compiling = regexp.MustCompile(`^compilation of PL/pgSQL function "([^"]+)" near line (\d+)$`)
	inSQL     = regexp.MustCompile(`^SQL function "([^"]+)" (?:statement \d+|during [a-z]+)$`)
)

// statementHeads begin the server's quotations of what a function was running. Those may have several lines.
var statementHeads = []string{`SQL statement "`, `SQL expression "`, `PL/pgSQL assignment "`}

// framesOf reads a context.
func framesOf(context string) []frame {
	var all []frame
	quoting := false
	for text := range strings.SplitSeq(context, "\n") {
		quoting = quoting || slices.ContainsFunc(statementHeads, func(head string) bool {
			return strings.HasPrefix(text, head)
		})
		if f, ok := frameOf(text); ok && !quoting {
			all = append(all, f)
		}
		quoting = quoting && !strings.HasSuffix(text, `"`)
	}
	return all
}

func frameOf(text string) (f frame, ok bool) {
	f.text = text
	number := ""
	if m := running.FindStringSubmatch(text); m != nil {
		f.function, number, f.doing = m[1], m[2], m[3]
	} else if m := compiling.FindStringSubmatch(text); m != nil {
		f.function, number, f.compiling = m[1], m[2], true
	} else if m := inSQL.FindStringSubmatch(text); m != nil {
		f.function = m[1]
	} else {
		return frame{}, false
	}
	f.line, _ = strconv.Atoi(number)
	return f, true
}

// outermost is the frame of a context's last line: what the migration's statement itself called.
func outermost(context string) (frame, bool) {
	return frameOf(context[strings.LastIndexByte(context, '\n')+1:])
}

// describe lists the frames for a message.
func describe(frames []frame) string {
	if len(frames) == 0 {
		return ""
	}
	const most = 4 // a recursion has as many as the stack holds
	return "; in " + words.ListFunc(frames, most, func(f frame) string { return f.text })
}
