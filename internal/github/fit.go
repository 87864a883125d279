package github

import (
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// MaxComment is the longest comment, in characters. GitHub does not say of which kind; UTF-16 has the most of them.
const MaxComment = 65536

// units counts a text's UTF-16 code units.
func units(text string) (n int) {
	for _, r := range text {
		n += max(1, utf16.RuneLen(r))
	}
	return n
}

// fit cuts Markdown to at most so many UTF-16 code units, at the end of a line, closes what that leaves open, and ends
// it with more. A text that fits is left as it is.
func fit(text, more string, most int) string {
	if units(text) <= most {
		return text
	}
	const forClosing = 200
	end := "\n\n" + more + "\n"
	room := most - units(end) - forClosing
	kept := 0 // bytes
	for line := range strings.Lines(text) {
		n := units(line)
		if n > room {
			if kept == 0 {
				kept = prefix(line, room)
			}
			break
		}
		room -= n
		kept += len(line)
	}
	return closed(text[:kept], forClosing) + end
}

// prefix returns how many bytes of a line fit.
func prefix(line string, room int) (bytes int) {
	for _, r := range line {
		if room -= max(1, utf16.RuneLen(r)); room < 0 {
			return bytes
		}
		bytes += utf8.RuneLen(r)
	}
	return bytes
}

// closed closes a code block and folded parts that are open at the text's end, in so many characters.
func closed(text string, room int) string {
	var end strings.Builder
	fences := 0
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "```") {
			fences++
		}
	}
	if fences%2 == 1 {
		end.WriteString("\n```")
	}
	open := strings.Count(text, "<details>") - strings.Count(text, "</details>")
	for range max(0, open) {
		if tag := "\n\n</details>"; end.Len()+len(tag) <= room {
			end.WriteString(tag)
		}
	}
	return strings.TrimRight(text, "\n") + end.String()
}
