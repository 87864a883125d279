package backups

import (
	"slices"
	"strings"
)

// harmless are pg_dump's options that leave no table, no row and no policy out of a dump. Every other one may, and a
// new version's option is taken for one that does.
var harmless = []string{
	"attribute-inserts", "binary-upgrade", "blobs", "clean", "column-inserts", "disable-dollar-quoting",
	"disable-triggers", "encoding", "extra-float-digits", "if-exists", "include-foreign-data", "inserts", "large-objects",
	"load-via-partition-root", "lock-wait-timeout", "no-acl", "no-comments", "no-owner", "no-privileges",
	"no-publications", "no-security-labels", "no-statistics", "no-subscriptions", "no-sync", "no-table-access-method",
	"no-tablespaces", "no-toast-compression", "on-conflict-do-nothing", "quote-all-identifiers", "role",
	"rows-per-insert", "serializable-deferrable", "statistics", "strict-names", "superuser",
	"use-set-session-authorization", "verbose",
}

const (
	harmlessShort = "bcOvx" // the same, with one letter
	shortValue    = "ES"    // and with a value, in the same word or in the next
)

// LeftOut returns the arguments of pg_dump that make a dump partial; none if it is whole.
func LeftOut(args []string) []string {
	var left []string
	for i := 0; i < len(args); i++ {
		arg := args[i]
		valueFollows := i+1 < len(args) && !strings.HasPrefix(args[i+1], "-")
		name, long := strings.CutPrefix(arg, "--")
		name, _, hasValue := strings.Cut(name, "=")
		switch {
		case long && slices.Contains(harmless, name):
			if valueFollows && !hasValue {
				i++
			}
		case !long && harmlessLetters(arg):
			if valueFollows && strings.ContainsRune(shortValue, rune(arg[len(arg)-1])) {
				i++
			}
		default:
			left = append(left, arg)
			if valueFollows && !hasValue {
				left = append(left, args[i+1])
				i++
			}
		}
	}
	return left
}

// harmlessLetters reports whether a word such as -Ox or -Eutf8 leaves nothing out.
func harmlessLetters(arg string) bool {
	letters, ok := strings.CutPrefix(arg, "-")
	for i := range letters {
		if strings.IndexByte(shortValue, letters[i]) >= 0 {
			return true // the rest is its value
		}
		if strings.IndexByte(harmlessShort, letters[i]) < 0 {
			return false
		}
	}
	return ok && letters != ""
}
