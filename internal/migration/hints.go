package migration

import (
	"slices"

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

// hintRules lists each shape once. What it says of locks and rewrites is shown by a test on a real server.
var hintRules = []hintRule{
	{"check-not-valid", func(a action) bool { return a.adds("check") && !a.has("not", "valid") }, false,
		"adding a check reads the whole table while nobody can read or write it",
		func(a action) string { return a.validateLater("check") }},
	{"foreign-key-not-valid", func(a action) bool { return a.adds("foreign") && !a.has("not", "valid") }, false,
		"adding a foreign key reads the whole table while nobody can write it or the table that it refers to",
		func(a action) string {
			if a.partitioned() { // before version 18 PostgreSQL adds none that is not valid
				return ""
			}
			return a.validateLater("fkey")
		}},
	{"foreign-key-of-new-column", func(a action) bool { return a.addsColumn() && a.newColumn().has("references") }, false,
		"a new column's foreign key locks the table that it refers to in the same transaction", action.inSteps},
	{"not-null-by-check", func(a action) bool { return a.setsNotNull() && !a.provesNotNull() }, false,
		"set not null reads the whole table while nobody can read or write it",
		func(a action) string { return steps(a.notNull(a.column())...) }},
	{"unique-using-index", func(a action) bool {
		return (a.adds("unique") || a.adds("primary")) && (!a.has("using", "index") || a.has("using", "index", "tablespace"))
	}, false, "adding a unique constraint builds its index while nobody can read or write the table",
		action.uniqueByIndex},
	{"exclusion", func(a action) bool { return a.adds("exclude") }, false,
		"adding an exclusion constraint builds its index while nobody can read or write the table, and nothing else adds one",
		nil},
	{"column-type", func(a action) bool { return a.alters() && a.newType() > 0 }, true,
		"the new type is stored in another way, so that the whole table is rewritten while nobody can read or write it",
		action.otherType},
	{"stored-column", func(a action) bool {
		return a.addsColumn() && (a.newColumn().has("generated") || a.newColumn().serial() != "")
	}, true, "each row gets a value of its own, so that the whole table is rewritten while nobody can read or write it",
		action.inSteps},
	{"volatile-default", func(a action) bool { return a.addsColumn() && a.newColumn().has("default") }, true,
		"the default differs from row to row, so that the whole table is rewritten while nobody can read or write it",
		action.inSteps},
	{"table-rewritten", func(a action) bool {
		return a.has("set", "logged") || a.has("set", "unlogged") || a.has("set", "access") || a.has("set", "tablespace") ||
			slices.Contains([]string{"cluster", "vacuum"}, a.command[0])
	}, true, "the whole table is rewritten while nobody can read or write it: run it at a quiet hour", nil},
	{"attach-checked", func(a action) bool { return a.has("attach", "partition") }, false,
		"attaching a table reads all of it while nobody can read or write it, unless a check shows that its rows fit",
		action.attachChecked},
	{"detach-concurrently", func(a action) bool {
		return a.has("detach", "partition") && !a.has("concurrently") && !a.has("finalize")
	}, false, "detaching a partition waits until nobody uses the table, and lets nobody use it meanwhile",
		func(a action) string {
			return steps(outsideTransaction + a.alter(a.text+" concurrently") + " -- refused if there is a default partition")
		}},
	{"index-of-partitioned", func(a action) bool { return a.createsIndex() && a.partitioned() }, false,
		"create index keeps others from writing the partitions until the file is committed: " +
			"create it on only the table, create one concurrently on each partition, and attach these", nil},
	{"index-concurrently", action.createsIndex, false,
		"create index keeps others from writing the table until the file is committed",
		func(a action) string { return steps(outsideTransaction + a.concurrently("index")) }},
	{"drop-index-concurrently", func(a action) bool {
		return sqltext.Begins(a.tokens, "drop", "index") && !a.has("concurrently")
	}, false, "drop index waits until nobody uses the table, and lets nobody use it meanwhile", action.dropIndexes},
	{"reindex-concurrently", func(a action) bool { return a.command[0] == "reindex" && !a.has("concurrently") }, false,
		"reindex keeps others from writing the table, and from reading it by that index",
		func(a action) string { return steps(outsideTransaction + a.concurrently(a.tokens[a.reindexed()])) }},
	{"refresh-concurrently", func(a action) bool {
		return sqltext.Begins(a.tokens, "refresh", "materialized", "view") && !a.has("concurrently") &&
			!a.has("with", "no", "data")
	}, false, "refresh keeps others from reading the view until the file is committed",
		func(a action) string { return "-- takes a unique index on the view\n" + a.concurrently("view") }},
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
			a.rewritten, a.statement, a.facts = rewritten, i, t.facts
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
