package main

import (
	"fmt"
	"html"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"
)

// printer lays the demo out: chapters, the inputs of a step, its log, what came out of it.
type printer struct {
	io.Writer
	chapter, chapters int      // the current one, and how many there are
	shown             []string // the inputs that were shown last
	colors            bool
	closed            func() // called when nobody reads any more
}

func newPrinter(f *os.File, closed func()) *printer {
	info, err := f.Stat()
	terminal := err == nil && info.Mode()&os.ModeCharDevice != 0
	return &printer{Writer: f, colors: terminal && os.Getenv("NO_COLOR") == "", closed: closed}
}

func (p *printer) printf(format string, args ...any) {
	if _, err := fmt.Fprintf(p, format, args...); err != nil {
		p.closed()
	}
}

const (
	bold = "1"
	dim  = "2"
)

func (p *printer) paint(style, text string) string {
	if !p.colors {
		return text
	}
	return "\x1b[" + style + "m" + text + "\x1b[0m"
}

const width = 100

func (p *printer) heading(text string) {
	line := "━━ " + text + " "
	p.printf("%s\n\n", p.paint(bold, line+strings.Repeat("━", max(0, width-len([]rune(line))))))
}

// tell begins a chapter: what it shows, and why.
func (p *printer) tell(title, text string) {
	p.chapter++
	p.shown = nil
	p.heading(fmt.Sprintf("%d/%d  %s", p.chapter, p.chapters, title))
	p.say(text)
}

// say prints a paragraph.
func (p *printer) say(text string) {
	for line := range strings.Lines(strings.TrimSpace(text)) {
		p.printf("%s\n", strings.Trim(line, "\t\n"))
	}
	p.printf("\n")
}

// with shows a step's inputs, NAME=VALUE, as a workflow has them, unless they are those of the step before.
func (p *printer) with(inputs []string) {
	if slices.Equal(inputs, p.shown) {
		return
	}
	p.shown = inputs
	p.printf("    %s\n", p.paint(dim, "with:"))
	for _, input := range inputs {
		name, value, _ := strings.Cut(input, "=")
		p.printf("    %s\n", p.paint(dim, "  "+name+": "+value))
	}
	p.printf("\n")
}

// log shows a line of a step's log, wrapped.
func (p *printer) log(line string) {
	indent := line[:len(line)-len(strings.TrimLeft(line, " "))]
	for {
		head, rest := wrap(line, width)
		p.printf("%s\n", strings.TrimRight("  │ "+head, " "))
		if rest == "" {
			return
		}
		line = indent + "    " + rest
	}
}

// wrap cuts a line that is too long at its last space before the limit, where there is one behind the line's indent.
func wrap(line string, limit int) (head, rest string) {
	text := []rune(line)
	if len(text) <= limit {
		return line, ""
	}
	head = string(text[:limit])
	at := strings.LastIndexByte(head, ' ')
	if strings.TrimSpace(head[:max(at, 0)]) == "" {
		return line, ""
	}
	return line[:at], line[at+1:]
}

func (p *printer) outputs(outputs []string) {
	p.printf("  └ outputs: %s\n\n", strings.Join(outputs, ", "))
}

var tags = regexp.MustCompile(`</?code>`)

// page shows the beginning of a step's summary, up to the table of tenants: its Markdown as it is, without its HTML.
func (p *printer) page(summary string) {
	page, rest, _ := strings.Cut(summary, "\n### Tenants\n")
	for line := range strings.Lines(strings.TrimSpace(page)) {
		p.log(html.UnescapeString(tags.ReplaceAllString(strings.TrimRight(line, "\n"), "")))
	}
	if rest != "" {
		p.log("")
		p.log(p.paint(dim, "… and a table of all tenants"))
	}
	p.printf("\n")
}

// introduce says what is running.
func (w *world) introduce(p *printer) {
	p.heading("What you are about to see")
	p.say(fmt.Sprintf(`
		A fleet of %d customers, one Postgres database each, and what workflows do for it. Everything runs on
		this machine, on 127.0.0.1, and is removed at the end:

		  Neon     its API, simulated over a real PostgreSQL %d: each project is a database of its own
		  S3       %s, with a token service that trusts this job's OIDC tokens
		  GitHub   its API for secrets and variables, and its OIDC issuer, simulated
		  action   the program of this checkout, started as GitHub's runner starts it

		What stands behind a bar is the action's own log as GitHub shows it, and above it the inputs that a
		workflow would have. Those that lead to this sandbox (neon-api-url, s3-endpoint, s3-path-style) are
		left out.`, len(w.projects), w.postgres.Version, w.store))
}

// farewell ends the demo with where to go next.
func (p *printer) farewell(took time.Duration) {
	p.heading(fmt.Sprintf("Done in %s; all that was started has been stopped and removed", took.Round(time.Second/10)))
	p.say(`
		Where to go next:

		  README.md                       the smallest workflows, and what each mode needs
		  examples/migrate-on-merge.yml   a complete workflow to copy; there is one for every mode
		  docs/backups.md                 the bucket, the role and its trust policy on AWS
		  make sandbox                    this Neon, S3 and GitHub, kept running for your own experiments`)
}
