package pgdump

import (
	"slices"
	"strings"

	"github.com/org/neon-tenants-action/internal/sqltext"
)

// role is what a statement of a dump is to the transaction of a restore.
type role int

const (
	ordinary  role = iota
	opens          // the BEGIN that pg_dump writes before large objects
	closes         // the COMMIT that it writes after them
	copies         // COPY … FROM stdin, whose data follows
	foreign        // a COPY that pg_dump does not write: its data and the SQL could be confused
	forbidden      // it would begin, end or divide the transaction, or reset the session
)

// transactions are the first words of the [forbidden] statements.
var transactions = []string{
	"begin", "start", "commit", "end", "rollback", "abort", "savepoint", "release", "discard",
	"prepare", // only PREPARE TRANSACTION
}

// roleOf decides by a statement's first words. The server gets each statement alone, so it reads the same ones.
func roleOf(sql string, lexer sqltext.Lexer) role {
	first := tokens(sql, lexer, 2)
	word, second := first[0], ""
	if len(first) > 1 {
		second = first[1]
	}
	switch {
	case word == "begin" && second == "":
		return opens
	case word == "commit" && second == "":
		return closes
	case word == "copy" && copiesFromStdin(sql, lexer):
		return copies
	case word == "copy":
		return foreign
	case word == "prepare" && second != "transaction":
		return ordinary
	case slices.Contains(transactions, word):
		return forbidden
	}
	return ordinary
}

// tokens returns a statement's first tokens in lower case, without blanks; at least one, which may be empty.
func tokens(sql string, lexer sqltext.Lexer, most int) []string {
	var list []string
	for i := 0; i < len(sql) && len(list) < most; {
		end, kind, _ := lexer.Token(sql, i)
		if kind != sqltext.Blank {
			list = append(list, strings.ToLower(sql[i:end]))
		}
		i = end
	}
	if list == nil {
		return []string{""}
	}
	return list
}

// copiesFromStdin reports whether a statement is COPY table (columns) FROM stdin and nothing more, the form that
// pg_dump writes. No other form is allowed, because COPY is sent in the protocol that takes several statements: this
// one holds no string that the server could read in another way.
func copiesFromStdin(sql string, lexer sqltext.Lexer) bool {
	var last, before string
	for i := 0; i < len(sql); {
		end, kind, _ := lexer.Token(sql, i)
		token := sql[i:end]
		switch {
		case kind == sqltext.Blank:
			i = end
			continue
		case kind == sqltext.Quoted && token[0] != '"',
			kind == sqltext.Other && !strings.Contains("().,", token):
			return false
		}
		before, last = last, strings.ToLower(token)
		i = end
	}
	return before == "from" && last == "stdin"
}

// label names a statement by its first words, such as "create materialized view public.m". It ends before the first
// value, so that it shows no data.
func label(sql string, lexer sqltext.Lexer) string {
	const most = 120 // bytes
	var b strings.Builder
	glued := true // no space before the next token
	for i := 0; i < len(sql) && b.Len() < most; {
		end, kind, _ := lexer.Token(sql, i)
		token := sql[i:end]
		word := kind == sqltext.Word && (token[0] < '0' || token[0] > '9')
		name := kind == sqltext.Quoted && token[0] == '"'
		switch {
		case kind == sqltext.Blank:
		case token == ".":
			b.WriteString(token)
			glued = true
		case !word && !name, strings.EqualFold(token, "as") && b.Len() > 0, strings.EqualFold(token, "values"):
			return b.String()
		default:
			if !glued && (!name || sql[i-1] != '"') { // a name in quotes is several tokens if it has quotes in it
				b.WriteByte(' ')
			}
			if word && token == strings.ToUpper(token) {
				token = strings.ToLower(token) // pg_dump's keywords; a name in upper case has quotes
			}
			b.WriteString(token)
			glued = false
		}
		i = end
	}
	return b.String()
}
