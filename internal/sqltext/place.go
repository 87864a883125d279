package sqltext

import "strings"

// RuneOffset turns a count of characters into a byte offset, held within the text; -1 for a place before it.
func RuneOffset(text string, runes int) int {
	if runes < 0 {
		return -1
	}
	for i := range text {
		if runes == 0 {
			return i
		}
		runes--
	}
	return len(strings.TrimRight(text, " \t\r\n;"))
}

// LineColumn gives the place of a byte offset, both counted from 1, the column in characters.
func LineColumn(text string, offset int) (line, column int) {
	before := text[:min(offset, len(text))]
	line = 1 + strings.Count(before, "\n")
	return line, 1 + len([]rune(before[strings.LastIndexByte(before, '\n')+1:]))
}
