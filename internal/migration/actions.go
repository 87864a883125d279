package migration

import (
	"slices"
	"strings"

	"github.com/org/neon-tenants-action/internal/sqltext"
)

// action is what one statement does, or one of the actions of an ALTER TABLE.
type action struct {
	command []string // the statement's first words: "alter table", "create unique index"
	table   string   // as the statement writes it; "" if it is not known
	tokens  []string // of the action, or of the whole statement; words in lower case
	text    string   // the same, as it is written
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

// named returns the name after a word, as it is written; fallback if the word is not there.
func (a action) named(word, fallback string) string {
	i := slices.Index(a.tokens, word)
	if i < 0 || i+1 >= len(a.tokens) {
		return fallback
	}
	return a.tokens[i+1]
}

// actionsOf splits a statement into its actions.
func actionsOf(sql string) []action {
	tokens, places := tokensOf(sql)
	if len(tokens) == 0 {
		return nil
	}
	if !sqltext.Begins(tokens, "alter", "table") {
		return []action{{command: tokens[:min(3, len(tokens))], table: tableOf(tokens), tokens: tokens, text: sql}}
	}
	i := 2
	for _, skip := range []string{"if", "exists", "only"} {
		if i < len(tokens) && tokens[i] == skip {
			i++
		}
	}
	table, i := nameAt(tokens, i)
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
			all = append(all, action{tokens[:2], table, tokens[from:i], sql[places[from].Start:places[i-1].End]})
		}
		from = i + 1
	}
	return all
}

// tokensOf returns a statement's tokens and their places.
func tokensOf(sql string) (tokens []string, places []sqltext.Statement) {
	for i := 0; i < len(sql); {
		end, kind := sqltext.Token(sql, i)
		switch kind {
		case sqltext.Blank:
		case sqltext.Word:
			tokens, places = append(tokens, strings.ToLower(sql[i:end])), append(places, sqltext.Statement{Start: i, End: end})
		default:
			tokens, places = append(tokens, sql[i:end]), append(places, sqltext.Statement{Start: i, End: end})
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
	return name, i
}

// tableOf returns the table that a statement names after ON, or after its command.
func tableOf(tokens []string) string {
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
	if at < 0 {
		return ""
	}
	name, _ := nameAt(tokens, at+1)
	return name
}
