package report

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// breaks turns everything that the runner, a terminal, a browser or an editor may take for the end of a line into "\n".
var breaks = strings.NewReplacer("\r\n", "\n", "\r", "\n", "\v", "\n", "\f", "\n",
	"\u0085", "\n", "\u2028", "\n", "\u2029", "\n")

// unbroken is text with "\n" as its only line break.
func unbroken(text string) string {
	if isPlain(text) { // the replacer copies a text that it does not change
		return text
	}
	return breaks.Replace(text)
}

// splitLines splits untrusted text wherever any reader would see a new line, and makes each line [inert]. Blank lines
// at the end are dropped; at least one line is left.
func splitLines(text string) []string {
	all := strings.Split(strings.TrimRight(unbroken(text), "\n \t"), "\n")
	for i, line := range all {
		all[i] = inert(line)
	}
	return all
}

// oneLine makes untrusted text fit to share a line with other text: runs of line breaks and blanks become single
// spaces, and the rest is made visible.
func oneLine(text string) string {
	fields := strings.FieldsFunc(unbroken(text), func(r rune) bool { return r == '\n' || r == ' ' || r == '\t' })
	return visible(strings.Join(fields, " "))
}

// firstLine is the first line of untrusted text that is not blank, fit to share a line with other text.
func firstLine(text string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(unbroken(text)), "\n")
	return oneLine(line)
}

// visible rewrites text so that a reader sees every character of it: control and formatting characters (ANSI sequences,
// bidirectional overrides, zero-width characters), private-use and unassigned ones, and bytes that are not UTF-8 appear
// as Go escapes; tabs and exotic blanks become spaces. Joiners and variation selectors stay if they belong to a letter
// or an emoji. The result is valid UTF-8, and visible(visible(x)) == visible(x).
func visible(text string) string {
	if isPlain(text) {
		return text
	}
	var b strings.Builder
	joinable := false // the previous rune takes joiners and selectors: it is a letter or a symbol outside ASCII
	for i, size := 0, 0; i < len(text); i += size {
		var r rune
		r, size = utf8.DecodeRuneInString(text[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&b, `\x%02x`, text[i])
			joinable = false
		case r == '\t':
			b.WriteString("    ")
			joinable = false
		case unicode.Is(unicode.Zs, r):
			b.WriteByte(' ')
			joinable = false
		case ignorable(r):
			if joinable && isJoiner(r) {
				b.WriteRune(r)
				continue
			}
			writeEscape(&b, r)
			joinable = false
		case !unicode.IsPrint(r):
			writeEscape(&b, r)
			joinable = false
		default:
			b.WriteRune(r)
			joinable = r > unicode.MaxASCII &&
				(unicode.IsLetter(r) || unicode.IsSymbol(r) || joinable && unicode.IsMark(r))
		}
	}
	return b.String()
}

// isPlain reports whether text is printable ASCII, as nearly all names and messages are.
func isPlain(text string) bool {
	for i := range len(text) {
		if text[i] < ' ' || text[i] > '~' {
			return false
		}
	}
	return true
}

func writeEscape(b *strings.Builder, r rune) {
	switch {
	case r == '\n':
		b.WriteString(`\n`)
	case r == '\r':
		b.WriteString(`\r`)
	case r < 0x80:
		fmt.Fprintf(b, `\x%02x`, r)
	case r <= 0xffff:
		fmt.Fprintf(b, `\u%04x`, r)
	default:
		fmt.Fprintf(b, `\U%08x`, r)
	}
}

// ignorable reports whether text comparison may skip a character. The runner finds its commands by culture-sensitive
// comparison, for which a zero-width joiner between two colons does not exist.
func ignorable(r rune) bool {
	return unicode.In(r, unicode.Cf, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector)
}

// isJoiner reports whether ordinary text needs an ignorable character: Persian and Indic names need the joiner and the
// non-joiner, emoji the joiner and the variation selectors.
func isJoiner(r rune) bool {
	return r == '\u200c' || r == '\u200d' || r == '\ufe0e' || r == '\ufe0f'
}

// inert makes one line of untrusted text visible, and breaks up what the runner would take for a command. The runner's
// two grammars (ActionCommand.TryParseV2 and TryParse) are "::name …::data" at the start of a line, after any white
// space, and "##[name …]data" anywhere in it. A backslash before the second colon or before the bracket defeats them.
func inert(line string) string {
	line = visible(line)
	if text := strings.TrimLeft(line, " "); strings.HasPrefix(text, "::") {
		line = line[:len(line)-len(text)] + `:\` + text[1:]
	}
	return strings.ReplaceAll(line, "##[", `##\[`)
}

// clip cuts text to at most limit bytes, between characters, and ends it with an ellipsis if it did.
func clip(text string, limit int) string {
	const ellipsis = "…"
	if len(text) <= limit {
		return text
	}
	cut := max(limit-len(ellipsis), 0)
	for cut > 0 && !utf8.RuneStart(text[cut]) {
		cut--
	}
	return strings.TrimRight(text[:cut], " ") + ellipsis
}
