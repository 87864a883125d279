package migration

import (
	"fmt"
	"slices"
	"strings"

	"github.com/org/neon-tenants-action/internal/sqltext"
)

// Files that are run once in each of many schemas must stay in the one that is migrated. This file checks their text;
// the statements of proofs check what they really did to the session.

// CheckSchemas returns a [*FilesError] that lists the statements which cannot be run in each of many schemas: those
// that change the search_path, and those that would put an extension into the first of the schemas.
func (m *Files) CheckSchemas() error {
	var problems []string
	for _, one := range m.ordered {
		for _, s := range one.statements {
			if problem := s.schemaProblem(); problem != "" {
				problems = append(problems, fmt.Sprintf("%s: line %d: %s", one.file, s.line, problem))
			}
		}
	}
	if len(problems) == 0 {
		return nil
	}
	return &FilesError{m.dir, problems}
}

// schemaProblem says why a statement cannot be run in each of many schemas, "" if it can.
func (s statement) schemaProblem() string {
	if s.changesPath() {
		return "changes the search_path, and names without a schema would mean another schema than the one that is " +
			"migrated; write that schema before the names instead"
	}
	if sqltext.Begins(s.tokens, "create", "extension") && !slices.Contains(s.tokens, "schema") {
		return "CREATE EXTENSION without a schema puts the extension into the first schema that is migrated, where " +
			"the others do not find it; write create extension if not exists … schema public, and public. before " +
			"the names of its types and functions"
	}
	return ""
}

// changesPath reports whether a statement sets the session's search_path. Emptying it, as files made by pg_dump do,
// does not count.
func (s statement) changesPath() bool {
	if s.tokens[0] == "set" {
		rest := s.tokens[1:]
		if len(rest) > 0 && (rest[0] == "local" || rest[0] == "session") {
			rest = rest[1:]
		}
		switch {
		case sqltext.Begins(rest, "schema"):
			return true
		case sqltext.Begins(rest, "search_path"):
			return !slices.Equal(rest[min(2, len(rest)):], []string{"''"}) &&
				!slices.Equal(rest[min(2, len(rest)):], []string{`""`})
		}
		return false
	}
	at := slices.Index(s.tokens, "set_config")
	if at < 0 || len(s.tokens) < at+5 {
		return false
	}
	return strings.EqualFold(s.tokens[at+2], "'search_path'") && s.tokens[at+4] != "''"
}

// puts returns the table of a schema that it names into which a statement inserts rows: every schema's run would do so
// again. Of ALTER … SET SCHEMA it returns what is moved.
func (s statement) puts() (kind, schema, name string, ok bool) {
	at := slices.Index(s.tokens, "schema")
	switch {
	case sqltext.Begins(s.tokens, "insert", "into") && len(s.tokens) > 4 && s.tokens[3] == ".":
		schema, _ = sqltext.Unquote(s.tokens[2])
		name, _ = sqltext.Unquote(s.tokens[4])
		return "rows of", schema, name, schema != ""
	case s.tokens[0] == "alter" && at > 2 && s.tokens[at-1] == "set" && at+1 < len(s.tokens):
		schema, _ = sqltext.Unquote(s.tokens[at+1])
		name, _ = sqltext.Unquote(s.tokens[at-2])
		return s.tokens[1], schema, name, schema != "" && s.tokens[1] != "extension"
	}
	return "", "", "", false
}

// outside returns what a migration puts into other schemas than the one that is migrated, as "line 3: table
// public.users".
func (m migration) outside(schema string) []string {
	var all []string
	for _, s := range m.statements {
		kind, in, name, ok := s.creates()
		if !ok {
			kind, in, name, ok = s.puts()
		}
		if ok && in != schema {
			all = append(all, fmt.Sprintf("line %d: %s %s.%s", s.line, kind, in, name))
		}
	}
	return all
}

// beforeTable are the words that stand before the table's name, for what is created on a table.
var beforeTable = map[string]string{"index": "on", "trigger": "on", "policy": "on", "rule": "to"}

// creates returns what a statement creates in a schema that it names; ok is false if it does not.
func (s statement) creates() (kind, schema, name string, ok bool) {
	if s.tokens[0] != "create" {
		return "", "", "", false
	}
	kinds := []string{
		"table", "index", "view", "sequence", "function", "procedure", "aggregate", "type", "domain", "trigger",
		"policy", "rule", "collation", "conversion", "statistics", "dictionary", "configuration",
	}
	at := slices.IndexFunc(s.tokens[:min(len(s.tokens), 7)], func(t string) bool { return slices.Contains(kinds, t) })
	if at < 0 {
		return "", "", "", false
	}
	kind = s.tokens[at]
	rest := s.tokens[at+1:]
	if word, ok := beforeTable[kind]; ok {
		rest = rest[slices.Index(rest, word)+1:]
	}
	for len(rest) > 0 && slices.Contains([]string{"if", "not", "exists", "concurrently", "only"}, rest[0]) {
		rest = rest[1:]
	}
	if len(rest) < 3 || rest[1] != "." {
		return "", "", "", false
	}
	schema, _ = sqltext.Unquote(rest[0])
	name, _ = sqltext.Unquote(rest[2])
	return kind, schema, name, schema != ""
}
