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
)

// code shows untrusted text as it is, in code style, anywhere in Markdown: a paragraph, a list, a table's cell, HTML. All
// ASCII punctuation is written as character references, so neither the Markdown parser nor the HTML one sees any of it;
// and inside <code> GitHub links no mention, issue, address or emoji.
func code(text string) string {
	if text = visible(text); text == "" {
		return ""
	}
	return "<code>" + references(text) + "</code>"
}

// references writes everything that could mean something to a parser as a character reference. GitHub's Markdown finds
// addresses also in text whose references are resolved already, so the marks of one end their text with a comment.
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
	// plainWord is a word that means nothing to Markdown, HTML and GitHub's filters: letters and digits, with harmless
	// marks between and around them.
	plainWord = regexp.MustCompile(`^[("']?[\pL\pN]*(?:[-.,'/%=+][\pL\pN]+)*%?[)"']?[.,:;!?)…]?$`)
	// linked is what GitHub makes links of although it looks plain: issue keys of other trackers, host names, commits.
	linked = regexp.MustCompile(`(?i)^\W*www\.|[A-Z]-\d|[0-9a-f]{7,}`)
)

// markup are the marks of Markdown and HTML that may stand in a plain word.
var markup = strings.NewReplacer(`"`, "&#34;", "'", "&#39;", "+", "&#43;", "=", "&#61;")

// prose shows untrusted text as running text: words that a parser or a filter of GitHub's could see something in (a link,
// a mention, an issue, an emoji, markup) in code style, the rest plain. Line breaks become spaces.
func prose(text string) string {
	words := strings.Fields(oneLine(text))
	for i, w := range words {
		switch {
		case plainWord.MatchString(w) && !linked.MatchString(w) && !(i == 0 && listMark.MatchString(w)):
			words[i] = markup.Replace(w)
		case w == "-" || w == "–" || w == "→" || w == "·" || w == "…":
			words[i] = references(w)
			if w == "-" {
				words[i] = "&#45;"
			}
		default:
			bare := strings.TrimRight(w, ".,;:!?)")
			if bare == "" {
				bare = w
			}
			words[i] = code(bare) + references(w[len(bare):])
		}
	}
	// Neighbours in code style are one piece of code.
	return strings.ReplaceAll(strings.Join(words, " "), "</code> <code>", " ")
}

// listMark matches a word that would begin a list where it stands first in a line.
var listMark = regexp.MustCompile(`^[0-9]+[.)]$`)

// place shows a place in the workspace, as a link where sourceURL is known and the path is within the workspace.
func place(file string, line int, sourceURL string) string {
	shown := code(clip(position(file, line), 500))
	if sourceURL == "" || !filepath.IsLocal(file) || len(file) > 500 {
		return shown
	}
	segments := strings.Split(filepath.ToSlash(file), "/")
	for i, s := range segments {
		segments[i] = url.PathEscape(s)
	}
	link := strings.TrimSuffix(sourceURL, "/") + "/" + strings.Join(segments, "/")
	if line > 0 {
		link += "#L" + strconv.Itoa(line)
	}
	return `<a href="` + html.EscapeString(link) + `">` + shown + "</a>"
}

// fenced shows untrusted text in a code block.
func fenced(text string) string {
	return fence("text", strings.Split(breaks.Replace(strings.TrimRight(text, "\r\n \t")), "\n"))
}

// fence shows lines of untrusted text in a code block of a language. The fence is longer than any run of backticks in them.
func fence(language string, lines []string) string {
	const maxLines = 60
	var all []string
	for _, line := range lines {
		all = append(all, wrap(visible(line))...)
	}
	if more := len(all) - maxLines; more > 0 {
		all = append(all[:maxLines:maxLines], fmt.Sprintf("… and %d more lines", more))
	}
	block := strings.Join(all, "\n")
	longest := 0
	for _, run := range backticks.FindAllString(block, -1) {
		longest = max(longest, len(run))
	}
	fence := strings.Repeat("`", max(longest+1, 3))
	return fence + language + "\n" + block + "\n" + fence + "\n"
}

var backticks = regexp.MustCompile("`+")

// wrap breaks a long line at blanks, so that a reader of a code block need not scroll sideways. The lines after the first
// are indented.
func wrap(line string) []string {
	const width, margin = 110, "    "
	var all []string
	for utf8.RuneCountInString(line) > width {
		head := string([]rune(line)[:width])
		at := strings.LastIndexByte(head, ' ')
		if at <= width/2 {
			break // one long word, which nobody wants broken, or a line that is mostly a pointer's indentation
		}
		all = append(all, line[:at])
		line = margin + line[at+1:]
	}
	return append(all, line)
}
