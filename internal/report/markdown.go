package report

import (
	"fmt"
	"html"
	"net/url"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/org/neon-tenants-action/internal/words"
)

// code shows untrusted text as it is, in code style, anywhere in Markdown: a paragraph, a list, a table's cell, HTML.
// ASCII punctuation is written as character references, so that neither the Markdown parser nor the HTML parser sees
// it, and inside <code> GitHub links no mention, issue or address and draws no emoji.
func code(text string) string {
	if text = visible(text); text == "" {
		return ""
	}
	return "<code>" + references(text) + "</code>"
}

// references writes everything that could mean something to a parser as a character reference. GitHub links addresses
// even after it has resolved the references, so a comment breaks up whatever looks like one.
func references(text string) string {
	const end = "<!-- -->"
	www := strings.Contains(strings.ToLower(text), "www")
	var b strings.Builder
	for i := range len(text) {
		switch c := text[i]; {
		case c == '@', c == ':' && i+1 < len(text) && text[i+1] == '/', c == '.' && www:
			fmt.Fprintf(&b, "&#%d;%s", c, end)
		case c >= 0x80, isWordByte(c) && c != '_', strings.IndexByte("- ,/.", c) >= 0:
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "&#%d;", c)
		}
	}
	return b.String()
}

var (
	// plainWord matches words that mean nothing to Markdown, HTML and GitHub's filters: letters and digits, with
	// harmless punctuation between and around them.
	plainWord = regexp.MustCompile(`^[("']?[\pL\pN]*(?:[-.,'/%=+][\pL\pN]+)*%?[)"']?[.,:;!?)…]?$`)
	// linked matches what looks plain and GitHub turns into links: issue keys of other trackers, host names, commits.
	linked = regexp.MustCompile(`(?i)^\W*www\.|[A-Z]-\d|[0-9a-f]{7,}`)
)

// markup escapes the characters of Markdown and HTML that a plain word may hold.
var markup = strings.NewReplacer(`"`, "&#34;", "'", "&#39;", "+", "&#43;", "=", "&#61;")

// prose shows untrusted text as running text. Words that a parser or one of GitHub's filters could interpret, as a
// link, a mention, an issue, an emoji or markup, are in code style, the others plain. Line breaks become spaces.
func prose(text string) string {
	fields := strings.Fields(oneLine(text))
	for i, w := range fields {
		switch {
		case plainWord.MatchString(w) && !linked.MatchString(w) && !(i == 0 && listMark.MatchString(w)):
			fields[i] = markup.Replace(w)
		case w == "-" || w == "–" || w == "→" || w == "·" || w == "…":
			fields[i] = references(w)
			if w == "-" {
				fields[i] = "&#45;"
			}
		default:
			bare := strings.TrimRight(w, ".,;:!?)")
			if bare == "" {
				bare = w
			}
			fields[i] = code(bare) + references(w[len(bare):])
		}
	}
	// Adjacent words in code style become one piece of code.
	return strings.ReplaceAll(strings.Join(fields, " "), "</code> <code>", " ")
}

// listMark matches a word that begins a list if it is the first of a line.
var listMark = regexp.MustCompile(`^[0-9]+[.)]$`)

// place shows a place in the workspace, as a link if sourceURL is known and the path is within the workspace.
func place(file string, line int, sourceURL string) string {
	shown := code(clip(position(file, line), 500))
	link := address(file, line, sourceURL)
	if link == "" {
		return shown
	}
	return `<a href="` + html.EscapeString(link) + `">` + shown + "</a>"
}

// address is where a place in the workspace can be read; empty if it has no address.
func address(file string, line int, sourceURL string) string {
	if sourceURL == "" || !filepath.IsLocal(file) || len(file) > 500 {
		return ""
	}
	segments := strings.Split(filepath.ToSlash(file), "/")
	for i, s := range segments {
		segments[i] = url.PathEscape(s)
	}
	link := strings.TrimSuffix(sourceURL, "/") + "/" + strings.Join(segments, "/")
	if line > 0 {
		link += "#L" + strconv.Itoa(line)
	}
	return link
}

// fenced shows untrusted text in a code block.
func fenced(text string) string {
	return fence("text", strings.Split(breaks.Replace(strings.TrimRight(text, "\r\n \t")), "\n"))
}

// fence shows lines of untrusted text in a code block. The fence is longer than any run of backticks in the text.
func fence(language string, lines []string) string {
	const maxLines = 60
	var all []string
	for _, line := range lines {
		all = append(all, wrap(visible(line))...)
	}
	if more := len(all) - maxLines; more > 0 {
		all = append(all[:maxLines:maxLines], moreLines(more))
	}
	block := strings.Join(all, "\n")
	longest := 0
	for _, run := range backticks.FindAllString(block, -1) {
		longest = max(longest, len(run))
	}
	fence := strings.Repeat("`", max(longest+1, 3))
	return fence + language + "\n" + block + "\n" + fence + "\n"
}

// moreLines ends a text whose last lines are left out.
func moreLines(n int) string { return "… and " + words.Count(n, "more line", "more lines") }

var backticks = regexp.MustCompile("`+")

// wrap breaks a long line at blanks, so that a code block needs no scrolling sideways. Lines after the first are
// indented.
func wrap(line string) []string {
	const width, margin = 110, "    "
	var all []string
	for utf8.RuneCountInString(line) > width {
		head := string([]rune(line)[:width])
		at := strings.LastIndexByte(head, ' ')
		if at <= width/2 {
			break // a long word, which is better left whole, or a line that is mostly the indentation of a caret
		}
		all = append(all, line[:at])
		line = margin + line[at+1:]
	}
	return append(all, line)
}
