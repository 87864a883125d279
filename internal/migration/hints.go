package migration

import (
	"fmt"
	"slices"
	"strings"

	"github.com/org/neon-tenants-action/internal/sqltext"
)

// Hint is a way to do what a statement does without keeping others from the table for as long.
type Hint struct {
	ID        string // such as "index-concurrently"; it does not change
	Statement int    // an index into [Trace].Statements
	Why       string // what the statement does to the table, a sentence without its full stop
	Safer     string // SQL to paste; in several files where it says so. Empty: there is none
}

// hintRule is a known shape of a statement.
type hintRule struct {
	id string
	// matches tells the shape by the statement's text.
	matches func(action) bool
	// rewrites is true if the shape only matters where a table was rewritten; otherwise where one was locked.
	rewrites bool
	why      string
	safer    func(action) string
}

// later separates files in a safer form.
const later = "\n\n-- in a file of its own, after that one:\n"

// alone begins a file whose statement cannot run in a transaction.
const aloneInFile = "-- in a file of its own:\n-- migrate:up transaction:false\n"

// hintRules lists each shape once. What it says of locks and rewrites is shown by a test on a real server.
var hintRules = []hintRule{
	{"check-not-valid", func(a action) bool { return a.adds("check") && !a.has("not", "valid") }, false,
		"adding a check reads the whole table while nobody can read or write it",
		func(a action) string { return a.validateLater("check") }},
	{"foreign-key-not-valid", func(a action) bool { return a.adds("foreign") && !a.has("not", "valid") }, false,
		"adding a foreign key reads the whole table while nobody can write it or the table that it refers to",
		func(a action) string { return a.validateLater("fkey") }},
	{"foreign-key-of-new-column", func(a action) bool {
		return a.addsColumn() && a.has("references")
	}, false, "a new column's foreign key locks the table that it refers to in the same transaction",
		func(a action) string {
			return a.alter("-- the column without references") + later + a.alter("add constraint "+a.constraint("fkey")+
				" foreign key ("+a.column()+") references … not valid") + later +
				a.alter("validate constraint "+a.constraint("fkey"))
		}},
	{"not-null-by-check", func(a action) bool { return a.alters() && a.has("set", "not", "null") }, false,
		"set not null reads the whole table while nobody can read or write it",
		func(a action) string {
			name := a.constraint("not_null")
			return a.alter("add constraint "+name+" check ("+a.column()+" is not null) not valid") + later +
				a.alter("validate constraint "+name) + later +
				a.alter("alter column "+a.column()+" set not null, drop constraint "+name) +
				" -- finds the check, and reads nothing"
		}},
	{"unique-using-index", func(a action) bool {
		return (a.adds("unique") || a.adds("primary")) && !a.has("using", "index")
	}, false, "adding a unique constraint builds its index while nobody can read or write the table",
		func(a action) string {
			kind, columns := "unique", a.parenthesis()
			if a.has("primary", "key") {
				kind = "primary key"
			}
			name := a.constraint("key")
			return aloneInFile + "create unique index concurrently if not exists " + name + " on " + a.table + " " + columns +
				";" + later + a.alter("add constraint "+name+" "+kind+" using index "+name)
		}},
	{"exclusion", func(a action) bool { return a.adds("exclude") }, false,
		"adding an exclusion constraint builds its index while nobody can read or write the table, and nothing else adds one",
		nil},
	{"column-type", func(a action) bool { return a.alters() && a.has("type") }, true,
		"the new type is stored in another way, so that the whole table is written anew while nobody can read or write it",
		func(a action) string {
			column := a.column()
			return a.alter("add column "+column+"_new "+a.named("type", "…")) + " -- kept equal by a trigger" + later +
				"update " + a.table + " set " + column + "_new = " + column + " where … -- in batches, outside the migration" +
				later + a.alter("drop column "+column) + "\n" + a.alter("rename column "+column+"_new to "+column)
		}},
	{"stored-column", func(a action) bool {
		return a.addsColumn() && (a.has("stored") || a.has("identity") || a.hasSerial())
	}, true, "each row gets a value of its own, so that the whole table is written anew while nobody can read or write it",
		func(a action) string {
			return a.alter("add column "+a.column()+" … -- a plain column, kept by a trigger or a default") + later +
				"update " + a.table + " set " + a.column() + " = … where … -- in batches, outside the migration"
		}},
	{"volatile-default", func(a action) bool { return a.addsColumn() && a.has("default") }, true,
		"the default differs from row to row, so that the whole table is written anew while nobody can read or write it",
		func(a action) string {
			before, expression, _ := cutWord(a.text, "default")
			return a.alter(before) + "\n" + a.alter("alter column "+a.column()+" set default "+expression) + later +
				"update " + a.table + " set " + a.column() + " = default where " + a.column() +
				" is null -- in batches, outside the migration"
		}},
	{"table-rewritten", func(a action) bool {
		return a.has("set", "logged") || a.has("set", "unlogged") || a.has("set", "access") || a.has("set", "tablespace") ||
			slices.Contains([]string{"cluster", "vacuum"}, a.command[0])
	}, true, "the whole table is written anew while nobody can read or write it: run it at a quiet hour", nil},
	{"attach-checked", func(a action) bool { return a.has("attach", "partition") }, false,
		"attaching a table reads all of it while nobody can read or write it, unless a check shows that its rows fit",
		func(a action) string {
			part := a.named("partition", "…")
			return "alter table " + part + " add constraint " + part + "_fits check (…) not valid; -- what FOR VALUES says" +
				later + "alter table " + part + " validate constraint " + part + "_fits;" + later + a.alter(a.text) + "\n" +
				"alter table " + part + " drop constraint " + part + "_fits;"
		}},
	{"detach-concurrently", func(a action) bool {
		return a.has("detach", "partition") && !a.has("concurrently") && !a.has("finalize")
	}, false, "detaching a partition waits until nobody uses the table, and lets nobody use it meanwhile",
		func(a action) string { return aloneInFile + a.alter(a.text+" concurrently") }},
	{"index-concurrently", func(a action) bool {
		creates := sqltext.Begins(a.tokens, "create", "index") || sqltext.Begins(a.tokens, "create", "unique", "index")
		return creates && !a.has("concurrently")
	}, false, "create index keeps others from writing the table until the file is committed",
		func(a action) string {
			return aloneInFile + concurrently(a.text, "index") + ";"
		}},
	{"drop-index-concurrently", func(a action) bool {
		return sqltext.Begins(a.tokens, "drop", "index") && !a.has("concurrently")
	}, false, "drop index waits until nobody uses the table, and lets nobody use it meanwhile",
		func(a action) string { return aloneInFile + concurrently(a.text, "index") + ";" }},
	{"reindex-concurrently", func(a action) bool { return a.command[0] == "reindex" && !a.has("concurrently") }, false,
		"reindex keeps others from writing the table, and from reading it by that index",
		func(a action) string { return aloneInFile + concurrently(a.text, a.command[1]) + ";" }},
	{"refresh-concurrently", func(a action) bool {
		return sqltext.Begins(a.tokens, "refresh", "materialized", "view") && !a.has("concurrently")
	}, false, "refresh keeps others from reading the view until the file is committed",
		func(a action) string {
			return "-- takes a unique index on the view\n" + concurrently(a.text, "view") + ";"
		}},
	{"lock-table", func(a action) bool { return a.command[0] == "lock" }, false,
		"the lock is held until the file is committed: take it in a file of its own, and the weakest that will do", nil},
}

// Hints are ways to do the same with shorter or weaker locks, for the statements that locked or rewrote tables.
func (t Trace) Hints() []Hint {
	var hints []Hint
	for i, s := range t.Statements {
		locked := slices.ContainsFunc(t.Locks, func(l TableLock) bool { return l.Statement == i })
		rewritten := slices.ContainsFunc(t.Rewrites, func(r Rewrite) bool { return r.Statement == i })
		for _, a := range actionsOf(s.SQL) {
			for _, rule := range hintRules {
				if rule.rewrites && !rewritten || !rule.rewrites && !locked || !rule.matches(a) {
					continue
				}
				h := Hint{ID: rule.id, Statement: i, Why: rule.why}
				if rule.safer != nil {
					h.Safer = rule.safer(a)
				}
				hints = append(hints, h)
				break
			}
		}
	}
	return hints
}

// adds reports whether the action adds a constraint of a kind, such as "check".
func (a action) adds(kind string) bool {
	tokens := a.tokens
	if !sqltext.Begins(a.command, "alter", "table") || tokens[0] != "add" {
		return false
	}
	if tokens = tokens[1:]; sqltext.Begins(tokens, "constraint") && len(tokens) > 2 {
		tokens = tokens[2:]
	}
	return len(tokens) > 0 && tokens[0] == kind
}

// addsColumn reports whether the action adds a column.
func (a action) addsColumn() bool {
	if !sqltext.Begins(a.command, "alter", "table") || a.tokens[0] != "add" || len(a.tokens) < 2 {
		return false
	}
	return !slices.Contains([]string{"constraint", "check", "foreign", "unique", "primary", "exclude"}, a.tokens[1])
}

// alters reports whether the action alters a column.
func (a action) alters() bool {
	return sqltext.Begins(a.command, "alter", "table") && a.tokens[0] == "alter" && !a.has("constraint")
}

func (a action) hasSerial() bool {
	return slices.ContainsFunc([]string{"serial", "bigserial", "smallserial"}, func(w string) bool { return a.has(w) })
}

// column is the column that the action adds or alters.
func (a action) column() string {
	for _, t := range a.tokens[1:] {
		if !slices.Contains([]string{"column", "if", "not", "exists"}, t) {
			return t
		}
	}
	return "…"
}

// constraint is the name of the constraint that the action adds, or one as PostgreSQL makes them.
func (a action) constraint(suffix string) string {
	table := a.table[strings.LastIndex(a.table, ".")+1:]
	return a.named("constraint", strings.Trim(table, `"`)+"_"+suffix)
}

// parenthesis is the first list in parentheses, as it is written.
func (a action) parenthesis() string {
	from, depth := strings.IndexByte(a.text, '('), 0
	for i := max(0, from); i < len(a.text); i++ {
		switch a.text[i] {
		case '(':
			depth++
		case ')':
			if depth--; depth == 0 {
				return a.text[from : i+1]
			}
		}
	}
	return "(…)"
}

// alter is an ALTER TABLE with one action.
func (a action) alter(text string) string {
	return fmt.Sprintf("alter table %s %s;", a.table, strings.TrimSpace(text))
}

// validateLater adds a constraint without looking at the rows that are there, which a later file does.
func (a action) validateLater(suffix string) string {
	name, text := a.constraint(suffix), a.text
	if !a.has("constraint") {
		text = "add constraint " + name + strings.TrimPrefix(strings.ToLower(text[:3]), "add") + text[3:]
	}
	return a.alter(text+" not valid") + later + a.alter("validate constraint "+name)
}

// concurrently writes the word after the first of another one.
func concurrently(sql, after string) string {
	before, rest, ok := cutWord(sql, after)
	if !ok {
		return sql
	}
	return before + after + " concurrently " + rest
}

// cutWord cuts SQL around the first token that is a word, which is in lower case.
func cutWord(sql, word string) (before, after string, found bool) {
	tokens, places := tokensOf(sql)
	i := slices.Index(tokens, word)
	if i < 0 {
		return sql, "", false
	}
	return sql[:places[i].Start], strings.TrimSpace(sql[places[i].End:]), true
}
