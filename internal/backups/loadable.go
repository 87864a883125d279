package backups

import (
	"cmp"
	"regexp"
	"slices"
	"strings"

	"github.com/org/neon-tenants-action/internal/pgdump"
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
	clean, section := "", ""
	ifExists, definitions := false, false
	for _, o := range pgdump.Options(args) {
		switch arg := o.Words[0]; {
		case slices.ContainsFunc(noDefinitions, o.Is):
			return arg, leavesOutDefinitions
		case o.Is("section"):
			section = cmp.Or(section, arg)
			definitions = definitions || o.Value == "pre-data"
		case o.Is("schema") && mayBePublic(o.Value):
			return arg, "the dump would create the schema public, which every database has"
		case o.Is("encoding") && slices.Contains(unsafeEncodings, plainName(o.Value)):
			return arg, "in that encoding a part of a character can look like a backslash"
		case o.Is("binary-upgrade"):
			return arg, "only a server that pg_upgrade has started takes such a dump"
		case o.Is("clean"):
			clean = arg
		case o.Is("if-exists"):
			ifExists = true
		}
	}
	switch {
	case section != "" && !definitions:
		return section, leavesOutDefinitions
	case plain && clean != "" && !ifExists:
		return clean, "without --if-exists it drops what an empty database does not have"
	}
	return "", ""
}

const leavesOutDefinitions = "it leaves out the definitions, and rows cannot be loaded without their tables"

// ForeignData returns the argument of pg_dump with which a dump holds the rows of foreign tables, which whoever loads
// it sends to their servers; empty if there is none.
func ForeignData(args []string) string {
	for _, o := range pgdump.Options(args) {
		if o.Is("include-foreign-data") {
			return o.Words[0]
		}
	}
	return ""
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
