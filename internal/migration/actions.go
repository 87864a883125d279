package migration

import (
	"slices"
	"strings"

	"github.com/org/neon-tenants-action/internal/sqltext"
)

// action is what one statement does, or one of the actions of an ALTER TABLE.
type action struct {
	command  []string // the statement's first words: "alter table", "create unique index"
	target   string   // of ALTER TABLE: the table, and ONLY and IF EXISTS before it
	table    string   // as the statement writes it; "" if it is not known
	relation []string // the same, unquoted: the schema, if it is written, and the name
	tokens   []string // of the action, or of the whole statement; words in lower case
	places   []sqltext.Statement
	sql      string // that the places are in
	text     string // the action, as it is written

	// What a trace knows of it.
	rewritten bool // the statement rewrote a table
	statement int
	facts     facts
}

// part is the text of the tokens from one up to another one, as it is written.
func (a action) part(from, to int) string {
	if from >= to || from >= len(a.places) {
		return ""
	}
	return a.sql[a.places[from].Start:a.places[min(to, len(a.places))-1].End]
}

// closing returns the index after the parenthesis that closes the one at a token.
func (a action) closing(i int) int {
	depth := 0
	for ; i < len(a.tokens); i++ {
		switch a.tokens[i] {
		case "(":
			depth++
		case ")":
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
	return i
}

// has reports whether the action's tokens include these, one after the other.
func (a action) has(words ...string) bool {
	for i := range a.tokens {
		if sqltext.Begins(a.tokens[i:], words...) {
			return true
		}
	}
	return false
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
	return sqltext.Begins(a.command, "alter", "table") && a.tokens[0] == "alter" &&
		!sqltext.Begins(a.tokens[1:], "constraint")
}

func (a action) setsNotNull() bool {
	return a.alters() && sqltext.Begins(a.tokens[min(a.columnAt()+1, len(a.tokens)):], "set", "not", "null")
}

// provesNotNull reports whether a valid check says that the column is not null, so that PostgreSQL reads nothing.
func (a action) provesNotNull() bool {
	return slices.Contains(a.facts.of(a.relation).notNull[a.statement], unquoted(a.column()))
}

// partitioned reports whether the table is known to be a partitioned one.
func (a action) partitioned() bool { return a.facts.of(a.relation).kind == "p" }

// createsIndex reports whether the statement builds an index while the table is locked. ON ONLY builds none.
func (a action) createsIndex() bool {
	creates := sqltext.Begins(a.tokens, "create", "index") || sqltext.Begins(a.tokens, "create", "unique", "index")
	return creates && !a.has("concurrently") && !a.has("on", "only")
}

// reindexed is the index of the word for what REINDEX rebuilds, such as "table".
func (a action) reindexed() int {
	if sqltext.Begins(a.tokens, "reindex", "(") {
		return min(a.closing(1), len(a.tokens)-1)
	}
	return min(1, len(a.tokens)-1)
}

// actionsOf splits a statement into its actions.
func actionsOf(sql string) []action {
	tokens, places := tokensOf(sql)
	if len(tokens) == 0 {
		return nil
	}
	if !sqltext.Begins(tokens, "alter", "table") {
		table, relation := tableOf(tokens)
		return []action{{command: tokens[:min(3, len(tokens))], table: table, relation: relation, tokens: tokens,
			places: places, sql: sql, text: sql}}
	}
	i := 2
	for _, skip := range []string{"if", "exists", "only"} {
		if i < len(tokens) && tokens[i] == skip {
			i++
		}
	}
	at := i
	table, i := nameAt(tokens, i)
	if table == "" {
		return nil
	}
	one := action{command: tokens[:2], table: table, relation: partsOf(tokens[at:i]), sql: sql,
		target: strings.Join(append(slices.Clone(tokens[2:at]), table), " ")}
	if i < len(tokens) && tokens[i] == "*" {
		i++
	}
	var all []action
	depth, from := 0, i
	for ; i <= len(tokens); i++ {
		if i < len(tokens) {
			switch tokens[i] {
			case "(", "[":
				depth++
			case ")", "]":
				depth--
			}
			if tokens[i] != "," || depth > 0 {
				continue
			}
		}
		if from < i {
			one.tokens, one.places = tokens[from:i], places[from:i]
			one.text = one.part(0, i-from)
			all = append(all, one)
		}
		from = i + 1
	}
	return all
}

// tokensOf returns a statement's tokens and their places.
func tokensOf(sql string) (tokens []string, places []sqltext.Statement) {
	for i := 0; i < len(sql); {
		end, kind := sqltext.Token(sql, i)
		token := sql[i:end]
		last := len(tokens) - 1
		switch {
		case kind == sqltext.Blank:
		case kind == sqltext.Word:
			tokens, places = append(tokens, sqltext.Fold(token)), append(places, sqltext.Statement{Start: i, End: end})
		case last >= 0 && places[last].End == i && token[0] == '"' && tokens[last][0] == '"': // a doubled quote
			tokens[last] += token
			places[last].End = end
		default:
			tokens, places = append(tokens, token), append(places, sqltext.Statement{Start: i, End: end})
		}
		i = end
	}
	return tokens, places
}

// nameAt returns the name, with its schema, that begins at a token, and the index of the token after it.
func nameAt(tokens []string, i int) (name string, next int) {
	for ; i < len(tokens); i += 2 {
		name += tokens[i]
		if i+1 >= len(tokens) || tokens[i+1] != "." {
			return name, i + 1
		}
		name += "."
	}
	return name, len(tokens)
}

// partsOf returns the parts of a name, unquoted.
func partsOf(tokens []string) (parts []string) {
	for _, t := range tokens {
		if t != "." {
			parts = append(parts, unquoted(t))
		}
	}
	return parts
}

// tableOf returns the table that a statement names after ON, or after its command.
func tableOf(tokens []string) (name string, parts []string) {
	at := -1
	switch tokens[0] {
	case "create":
		if at = slices.Index(tokens, "on"); at >= 0 && at+1 < len(tokens) && tokens[at+1] == "only" {
			at++
		}
	case "refresh":
		at = slices.Index(tokens, "view")
	case "reindex", "lock", "cluster":
		if at = slices.Index(tokens, "table"); at < 0 {
			at = 0
		}
	}
	if at < 0 || at+1 >= len(tokens) {
		return "", nil
	}
	name, next := nameAt(tokens, at+1)
	return name, partsOf(tokens[at+1 : min(next, len(tokens))])
}
