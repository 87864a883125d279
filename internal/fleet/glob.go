package fleet

import (
	"fmt"
	"regexp"
	"strings"
)

// compileGlob turns a glob into an anchored regular expression. Its error continues "the pattern …".
func compileGlob(glob string) (*regexp.Regexp, error) {
	var b strings.Builder
	b.WriteString(`(?s)\A`)
	runes := []rune(glob)
	for i := 0; i < len(runes); i++ {
		switch c := runes[i]; c {
		case '*':
			b.WriteString(`.*`)
		case '?':
			b.WriteString(`.`)
		case '\\':
			if i++; i == len(runes) {
				return nil, fmt.Errorf(`ends in a single \; write \\ for a literal backslash`)
			}
			b.WriteString(regexp.QuoteMeta(string(runes[i])))
		case '[':
			set, next, err := compileSet(runes, i)
			if err != nil {
				return nil, err
			}
			b.WriteString(set)
			i = next
		default:
			b.WriteString(regexp.QuoteMeta(string(c)))
		}
	}
	b.WriteString(`\z`)
	return regexp.Compile(b.String())
}

// compileSet reads the bracketed set that begins at runes[i]; end is the index of its closing bracket.
func compileSet(runes []rune, i int) (set string, end int, err error) {
	j := i + 1
	negate := j < len(runes) && (runes[j] == '!' || runes[j] == '^')
	if negate {
		j++
	}
	var body strings.Builder
	for first := true; ; first = false {
		if j >= len(runes) {
			return "", 0, fmt.Errorf(`has a [ without a ]; write \[ for a literal bracket`)
		}
		if runes[j] == ']' && !first {
			break
		}
		low := runes[j]
		if low == '\\' && j+1 < len(runes) {
			j++
			low = runes[j]
		}
		high := low
		if j+2 < len(runes) && runes[j+1] == '-' && runes[j+2] != ']' {
			j += 2
			if high = runes[j]; high == '\\' && j+1 < len(runes) {
				j++
				high = runes[j]
			}
		}
		if high < low {
			return "", 0, fmt.Errorf("has the reversed range %c-%c", low, high)
		}
		fmt.Fprintf(&body, `\x{%x}-\x{%x}`, low, high)
		j++
	}
	if negate {
		return "[^" + body.String() + "]", j, nil
	}
	return "[" + body.String() + "]", j, nil
}
