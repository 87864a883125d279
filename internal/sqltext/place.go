package sqltext

import "strings"

// RuneOffset converts a count of characters into a byte offset. A place behind the text becomes the end of its last
// statement, a place before it -1.
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

// LineColumn converts a byte offset into a line and a column. Both count from 1, the column in characters.
func LineColumn(text string, offset int) (line, column int) {
	before := text[:min(offset, len(text))]
	line = 1 + strings.Count(before, "\n")
	return line, 1 + len([]rune(before[strings.LastIndexByte(before, '\n')+1:]))
}
