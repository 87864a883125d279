package backups

import (
	"cmp"
	"regexp"
	"slices"
	"strings"
)

// noDefinitions are pg_dump's options without which a dump holds rows, but not the tables that they go into.
var noDefinitions = []string{"data-only", "no-schema", "statistics-only"}

// unsafeEncodings are those in which a part of a character can look like a backslash, by pg_dump's names without
// punctuation. No database can have one of them.
var unsafeEncodings = []string{
	"big5", "gb18030", "gbk", "johab", "mskanji", "shiftjis", "shiftjis2004", "sjis", "uhc",
	"win932", "win936", "win949", "win950", "windows932", "windows936", "windows949", "windows950",
}

// Unloadable returns the first argument of pg_dump that makes a dump which can be loaded into no database, and why;
// empty if there is none. A dump of chosen schemas creates each of them, but every database has a schema public; rows
// need tables; and SQL has to be read without mistaking a character for a quote. A plain dump with --clean drops first
// what an empty database does not have; an archive takes no notice of it.
func Unloadable(args []string, plain bool) (arg, why string) {
	clean, ifExists := "", false
	for i, arg := range args {
		next := ""
		if i+1 < len(args) {
			next = args[i+1]
		}
		name, value, ok := option(arg, next)
		switch {
		case !ok:
		case slices.ContainsFunc(noDefinitions, func(long string) bool { return strings.HasPrefix(long, name) }),
			name == "section" && value != "pre-data":
			return arg, "it leaves out the definitions, and rows cannot be loaded without their tables"
		case name == "schema" && mayBePublic(value):
			return arg, "the dump would create the schema public, which every database has"
		case strings.HasPrefix("encoding", name) && slices.Contains(unsafeEncodings, plainName(value)):
			return arg, "in that encoding a part of a character can look like a backslash"
		case strings.HasPrefix("binary-upgrade", name):
			return arg, "only a server that pg_upgrade has started takes such a dump"
		case strings.HasPrefix("clean", name):
			clean = arg
		case strings.HasPrefix("if-exists", name):
			ifExists = true
		}
	}
	if plain && clean != "" && !ifExists {
		return clean, "without --if-exists it drops what an empty database does not have"
	}
	return "", ""
}

// ForeignData returns the argument of pg_dump with which a dump holds the rows of foreign tables, which whoever loads
// it sends to their servers; empty if there is none.
func ForeignData(args []string) string {
	for _, arg := range args {
		const shortest = len("--include-f")
		name, _, _ := strings.Cut(arg, "=")
		if len(name) >= shortest && strings.HasPrefix("--include-foreign-data", name) {
			return arg
		}
	}
	return ""
}

// option returns the long name of the option in a word, and its value.
func option(arg, next string) (name, value string, ok bool) {
	if long, ok := strings.CutPrefix(arg, "--"); ok {
		name, value, hasValue := strings.Cut(long, "=")
		if !hasValue {
			value = next
		}
		const shortest = 3 // fewer letters are no option's alone
		return name, value, len(name) >= shortest
	}
	letters, ok := strings.CutPrefix(arg, "-")
	if !ok {
		return "", "", false // a value
	}
	for i := range letters {
		rest := letters[i+1:]
		switch {
		case letters[i] == 'a':
			return "data-only", "", true
		case letters[i] == 'c' && !strings.ContainsAny(rest, "aEn"):
			return "clean", "", true
		case letters[i] == 'E':
			return "encoding", cmp.Or(rest, next), true
		case letters[i] == 'n' && rest != "":
			return "schema", rest, true
		case letters[i] == 'n':
			return "schema", next, true
		case strings.IndexByte("eNStT", letters[i]) >= 0:
			return "", "", false // the rest is its value
		}
	}
	return "", "", false
}

// plainName is the name of an encoding without what PostgreSQL ignores in it: case and punctuation.
func plainName(encoding string) string {
	return strings.Map(func(r rune) rune {
		if r < '0' || r > '9' && r < 'a' || r > 'z' {
			return -1
		}
		return r
	}, strings.ToLower(encoding))
}

// mayBePublic reports whether pg_dump's pattern matches the name public: in quotes it means itself, without them it is
// in lower case, * and ? stand for any letters and for any one, and the rest is a regular expression.
func mayBePublic(pattern string) bool {
	var b strings.Builder
	quoted := false
	for _, r := range pattern {
		switch {
		case r == '"':
			quoted = !quoted
		case quoted:
			b.WriteString(regexp.QuoteMeta(string(r)))
		case r == '*':
			b.WriteString(".*")
		case r == '?':
			b.WriteByte('.')
		default:
			b.WriteString(strings.ToLower(string(r)))
		}
	}
	re, err := regexp.Compile("^(?:" + b.String() + ")$")
	return err != nil || re.MatchString("public")
}
