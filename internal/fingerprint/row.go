package fingerprint

import (
	"slices"
	"strconv"
	"strings"

	"github.com/org/neon-tenants-action/internal/sqltext"
)

// row is a row of a catalog, as text; nil is null. It is valid until the next one is read.
type row [][]byte

// oid is a number by which catalogs refer to an object.
type oid uint32

func (w row) text(i int) string { return string(w[i]) }

func (w row) is(i int) bool { return string(w[i]) == "t" }

func (w row) oid(i int) oid { return parseOID(w.text(i)) }

func parseOID(text string) oid {
	n, _ := strconv.ParseUint(text, 10, 32) // the server's own numbers
	return oid(n)
}

func (w row) number(i int) float64 {
	n, _ := strconv.ParseFloat(w.text(i), 64) // the server's own
	return n
}

// letter is the value of a column of the type "char"; 0 if it is empty.
func (w row) letter(i int) byte {
	if len(w[i]) == 0 {
		return 0
	}
	return w[i][0]
}

// list is the value of an array that is printed as JSON.
func (w row) list(i int) (list []string, err error) {
	err = decode(w[i], &list)
	return list, err
}

// with returns a value with what is around it; "" if it is null.
func (w row) with(before string, i int, after string) string {
	if w[i] == nil {
		return ""
	}
	return before + string(w[i]) + after
}

// when returns a text if a condition is true.
func when(condition bool, text string) string {
	if !condition {
		return ""
	}
	return text
}

// join joins those texts that are not empty.
func join(separator string, texts ...string) string {
	return strings.Join(slices.DeleteFunc(texts, func(t string) bool { return t == "" }), separator)
}

// quoteLiteral quotes a text as the server's quote_literal does.
func quoteLiteral(text string) string { return strings.TrimPrefix(sqltext.QuoteLiteral(text), " ") }
