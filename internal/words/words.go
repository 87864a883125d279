// Package words puts counts, lists, sizes and durations into words, so that every message, log line and summary writes
// them alike. The texts are for people; nothing parses them.
package words

import (
	"fmt"
	"strings"
)

// Count writes a number with its noun: "1 tenant", "12 tenants". Both forms may take their verb along, so that the
// sentence agrees: Count(n, "table is", "tables are").
func Count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// More ends a list that was cut short: "and 3 more".
func More(n int) string { return fmt.Sprintf("and %d more", n) }

// List writes the first most items within a sentence, and how many are left: "a, b and 3 more". Of no items it writes
// "none". A most of zero or less is no limit.
func List(items []string, most int) string {
	return ListFunc(items, most, func(item string) string { return item })
}

// ListFunc is [List] of items whose texts come from text, which is called only for those that are written. With
// [strconv.Quote] it quotes names.
func ListFunc[T any](items []T, most int, text func(T) string) string {
	return join(items, most, text, ", ", " ")
}

// Or writes all items as a choice: "a, b or c". Of no items it writes "none".
func Or(items []string) string {
	if len(items) < 2 {
		return List(items, 0)
	}
	last := len(items) - 1
	return strings.Join(items[:last], ", ") + " or " + items[last]
}

// Clauses writes the first most items, which may hold commas of their own, and how many are left: "a, b; c; and 3
// more". Of no items it writes "none". A most of zero or less is no limit.
func Clauses(items []string, most int) string {
	return join(items, most, func(item string) string { return item }, "; ", "; ")
}

func join[T any](items []T, most int, text func(T) string, between, beforeMore string) string {
	if len(items) == 0 {
		return "none"
	}
	if most <= 0 || most > len(items) {
		most = len(items)
	}
	var b strings.Builder
	for i, item := range items[:most] {
		if i > 0 {
			b.WriteString(between)
		}
		b.WriteString(text(item))
	}
	if left := len(items) - most; left > 0 {
		b.WriteString(beforeMore + More(left))
	}
	return b.String()
}
