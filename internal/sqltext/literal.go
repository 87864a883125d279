package sqltext

import (
	"sort"
	"strings"
)

// Literal is a string constant that was read: its value, and where in the SQL each byte of that comes from.
type Literal struct {
	Value string
	// Before is the token before it in its statement: a word in lower case, or a punctuation mark; "" if it is another
	// quoted text.
	Before string

	at []int // the offset in the SQL of each byte of the value
}

// Offset converts an offset in the value into one in the SQL. One past the value becomes the end of the value.
func (l Literal) Offset(i int) int {
	if i < len(l.at) {
		return l.at[i]
	}
	if len(l.at) == 0 {
		return -1
	}
	return l.at[len(l.at)-1] + 1
}

// Index converts an offset in the SQL into one in the value; -1 if it is outside of the constant.
func (l Literal) Index(offset int) int {
	if len(l.at) == 0 || offset < l.at[0] || offset > l.Offset(len(l.Value)) {
		return -1
	}
	return sort.SearchInts(l.at, offset)
}

// Literals are a statement's string constants, as far as they can be read: without those that write characters by their
// numbers (E'\x41', U&'\0041').
func Literals(sql string, s Statement) []Literal {
	var all []Literal
	before := ""
	for i := s.Start; i < s.End; {
		end, kind := Token(sql, i)
		switch {
		case kind == Blank:
		case kind != Quoted:
			before = Fold(sql[i:end])
		default:
			l, next, ok := readLiteral(sql, i, end)
			if l.Before = before; ok && before != "&" {
				all = append(all, l)
			}
			before, end = "", next
		}
		i = end
	}
	return all
}

// readLiteral reads the constant of the token sql[i:end], and what continues it. next is where that ends.
func readLiteral(sql string, i, end int) (l Literal, next int, ok bool) {
	switch sql[i] {
	case '$':
		tag := strings.IndexByte(sql[i+1:], '$') + 2
		for j := i + tag; j < end-tag; j++ {
			l.at = append(l.at, j)
		}
		l.Value = sql[i+tag : max(i+tag, end-tag)]
		return l, end, true
	case '\'':
		return readQuoted(sql, i+1, false)
	case 'e', 'E':
		return readQuoted(sql, i+2, true)
	}
	return Literal{}, end, false
}

// escapes are what a backslash and a letter stand for. Any other character stands for itself, but for those that begin
// a number.
var escapes = map[byte]byte{'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t'}

// readQuoted reads a constant from behind its first quote.
func readQuoted(sql string, i int, backslashes bool) (l Literal, next int, ok bool) {
	var value []byte
	ok = true
	for i < len(sql) {
		b, at := sql[i], i
		switch {
		case b == '\'':
			again, _ := continued(sql, i+1)
			if again == 0 {
				l.Value = string(value)
				return l, i + 1, ok
			}
			doubled := again == i+2
			i = again
			if !doubled {
				continue
			}
		case b == '\\' && backslashes && i+1 < len(sql):
			b = sql[i+1]
			ok = ok && strings.IndexByte("01234567xuU", b) < 0
			if special, known := escapes[b]; known {
				b = special
			}
			i += 2
		default:
			i++
		}
		value, l.at = append(value, b), append(l.at, at)
	}
	return Literal{}, len(sql), false
}
