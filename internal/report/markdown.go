package report

import (
	"fmt"
	"regexp"
	"strings"
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

// references writes everything that could mean something to a parser as a character reference.
func references(text string) string {
	var b strings.Builder
	for i := range len(text) {
		switch c := text[i]; {
		case c == '-' || c == ' ' || c == ',' || c >= 0x80 || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z':
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
	plainWord = regexp.MustCompile(`^[("']?[\pL\pN]*(?:[-.,'/%=+][\pL\pN]+)*[)"']?[.,:;!?)…]?$`)
	// linked is what GitHub makes links of although it looks plain: issue keys of other trackers, host names, commits.
	linked = regexp.MustCompile(`(?i)^\W*www\.|[A-Z]-\d|[0-9a-f]{7,}`)
)

// prose shows untrusted text as running text: words that a parser or a filter of GitHub's could see something in (a link,
// a mention, an issue, an emoji, markup) in code style, the rest plain. Line breaks become spaces.
func prose(text string) string {
	words := strings.Fields(oneLine(text))
	for i, w := range words {
		switch {
		case plainWord.MatchString(w) && !linked.MatchString(w) && !listMark(i, w):
			words[i] = strings.NewReplacer(`"`, "&#34;", "'", "&#39;", "+", "&#43;", "=", "&#61;").Replace(w)
		case w == "-" || w == "–" || w == "→" || w == "·" || w == "…":
			words[i] = references(w)
			if w == "-" {
				words[i] = "&#45;"
			}
		default:
			words[i] = code(w)
		}
	}
	// Neighbours in code style are one piece of code.
	return strings.ReplaceAll(strings.Join(words, " "), "</code> <code>", " ")
}

// listMark says whether a word would begin a list or a heading where it stands first in a line.
func listMark(i int, w string) bool {
	return i == 0 && (strings.Trim(w, "-+=") == "" || strings.HasSuffix(w, ".") || strings.HasSuffix(w, ")"))
}

// fenced shows untrusted text in a code block of its own lines, indented for a list item where prefix is not empty. The
// fence is longer than any run of backticks in the text.
func fenced(text, prefix string) string {
	const maxLines = 60
	all := strings.Split(breaks.Replace(strings.TrimRight(text, "\r\n \t")), "\n")
	if more := len(all) - maxLines; more > 0 {
		all = append(all[:maxLines:maxLines], fmt.Sprintf("… and %d more lines", more))
	}
	longest, run := 2, 0
	for i, line := range all {
		all[i] = visible(line)
		run = 0
		for _, c := range []byte(all[i]) {
			if c != '`' {
				run = 0
				continue
			}
			run++
			longest = max(longest, run)
		}
	}
	fence := strings.Repeat("`", longest+1)
	var b strings.Builder
	b.WriteString(prefix + fence + "text\n")
	for _, line := range all {
		b.WriteString(prefix + line + "\n")
	}
	b.WriteString(prefix + fence + "\n")
	return b.String()
}
