// Package sqltext reads SQL as the server's parser does: tokens, statements, and their places in the text. It also
// quotes names and values. It connects to nothing.
package sqltext

import "slices"

// Statement is the place of an SQL statement in a text: the byte offsets of its beginning, after white space and
// comments, and of its end.
type Statement struct{ Start, End int }

// Statements splits SQL at the semicolons at which the server splits it: outside quotes, dollar quotes, comments,
// parentheses and the bodies of functions in standard SQL (BEGIN ATOMIC … END). It leaves out empty statements.
func Statements(sql string) []Statement {
	var out []Statement
	var nesting Nesting
	start := -1
	for i := 0; i < len(sql); {
		end, kind := Token(sql, i)
		switch {
		case kind == Blank:
		case nesting.Ends(sql[i:end], kind):
			if start >= 0 {
				out = append(out, Statement{start, i})
			}
			start = -1
		case start < 0:
			start = i
		}
		i = end
	}
	if start >= 0 {
		out = append(out, Statement{start, len(sql)})
	}
	return out
}

// Nesting follows a statement's tokens, and knows which semicolon ends it. The zero value is for the beginning of one.
type Nesting struct {
	parentheses int
	blocks      int      // an atomic body, and each CASE in it
	first       []string // words, enough of them to tell a function from the rest
	previous    string   // the token before: a word in lower case, or a punctuation mark
}

// createsFunction reports whether the statement creates a function or a procedure: only these have atomic bodies.
func (n *Nesting) createsFunction() bool {
	words := n.first
	if len(words) > 2 && words[1] == "or" && words[2] == "replace" {
		words = slices.Delete(slices.Clone(words), 1, 3)
	}
	return len(words) > 1 && words[0] == "create" && (words[1] == "function" || words[1] == "procedure")
}

// Ends takes the statement's next token, which is no blank, and reports whether it is the semicolon that ends it. After
// that it is ready for another statement.
func (n *Nesting) Ends(token string, kind Kind) bool {
	switch {
	case kind == Word:
		n.word(token)
		return false
	case kind == Other && token == ";" && n.parentheses == 0 && n.blocks == 0:
		*n = Nesting{}
		return true
	case kind == Other && token == "(":
		n.parentheses++
	case kind == Other && token == ")":
		n.parentheses = max(0, n.parentheses-1)
	}
	if n.previous = ""; kind == Other {
		n.previous = token
	}
	return false
}

// word follows BEGIN ATOMIC, CASE and END. In parentheses CASE and END come in pairs, and a name that is spelt like
// them stands in quotes unless it follows AS or a period. BEGIN alone can be a name anywhere.
func (n *Nesting) word(token string) {
	token = Fold(token)
	const most = 4 // create or replace function
	if len(n.first) < most {
		n.first = append(n.first, token)
	}
	name := n.previous == "as" || n.previous == "."
	switch {
	case n.parentheses > 0:
	case n.blocks == 0:
		if token == "atomic" && n.previous == "begin" && n.createsFunction() {
			n.blocks = 1
		}
	case token == "case" && !name:
		n.blocks++
	case token == "end" && !name:
		n.blocks--
	}
	n.previous = token
}

// CopiesFromStdin reports whether a statement is COPY … FROM STDIN. A migration file cannot carry its data, for which
// the server would wait forever.
func CopiesFromStdin(sql string, s Statement) bool {
	var previous, first string
	for i := s.Start; i < s.End; {
		end, kind := Token(sql, i)
		if kind == Word {
			w := Fold(sql[i:end])
			if first == "" {
				if first = w; first != "copy" {
					return false
				}
			}
			if previous == "from" && w == "stdin" {
				return true
			}
			previous = w
		} else if kind != Blank {
			previous = ""
		}
		i = end
	}
	return false
}
