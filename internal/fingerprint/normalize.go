package fingerprint

import (
	"slices"
	"strings"

	"github.com/org/neon-tenants-action/internal/sqltext"
)

// normalize returns a definition as a server prints it that has read its own text once. A dump and load has it do so,
// and changes two shapes of what it printed before, and no others: a cast of an array moves to the elements, from
// (ARRAY['a'::varchar])::text[] to ARRAY[('a'::varchar)::text], and the parser drops the parentheses around the first
// part of a conjunction that is one itself, from ((a AND b) AND c) to (a AND b AND c); BETWEEN and IN make such a part,
// and so do comparisons of rows. Both of a shape mean the same, so no two different definitions become equal. The
// definition is in the form that has all parentheses.
func normalize(definition string) string {
	nodes, ok := parse(definition)
	if !ok {
		return definition
	}
	return render(rewrite(nodes))
}

// mayBeRewritten is true for every definition that normalize changes, and for what it changes it to. The query over
// objects of uncommon kinds has the same condition.
func mayBeRewritten(definition string) bool {
	return strings.Contains(definition, "ARRAY[") || strings.Contains(definition, " AND ") ||
		strings.Contains(definition, " OR ")
}

// node is a token, or a group of them in parentheses or brackets.
type node struct {
	text  string // of a token; the opening character of a group
	kind  sqltext.Kind
	group bool
	inner []node
}

// is reports whether the node is this token.
func (n node) is(text string) bool { return !n.group && n.kind != sqltext.Quoted && n.text == text }

func (n node) isGroup(open string) bool { return n.group && n.text == open }

// parse reads a text into nodes. It is false if the parentheses do not match.
func parse(text string) (nodes []node, ok bool) {
	type open struct {
		node
		before []node
	}
	var stack []open
	for i := 0; i < len(text); {
		end, kind := sqltext.Token(text, i)
		token := text[i:end]
		i = end
		switch {
		case kind == sqltext.Other && (token == "(" || token == "["):
			stack = append(stack, open{node{text: token, group: true}, nodes})
			nodes = nil
		case kind == sqltext.Other && (token == ")" || token == "]"):
			if len(stack) == 0 || closing[stack[len(stack)-1].text] != token {
				return nil, false
			}
			last := stack[len(stack)-1]
			stack, last.inner = stack[:len(stack)-1], nodes
			nodes = append(last.before, last.node)
		default:
			nodes = append(nodes, node{text: token, kind: kind})
		}
	}
	return nodes, len(stack) == 0
}

var closing = map[string]string{"(": ")", "[": "]"}

func render(nodes []node) string {
	var b strings.Builder
	write(&b, nodes)
	return b.String()
}

func write(b *strings.Builder, nodes []node) {
	for _, n := range nodes {
		b.WriteString(n.text)
		if n.group {
			write(b, n.inner)
			b.WriteString(closing[n.text])
		}
	}
}

// rewrite applies both rules, from the inside out.
func rewrite(nodes []node) []node {
	for i := range nodes {
		if nodes[i].group {
			nodes[i].inner = rewrite(nodes[i].inner)
		}
	}
	for i := range nodes {
		if nodes[i].isGroup("(") {
			nodes[i].inner = flatten(nodes[i].inner)
		}
	}
	return castElements(nodes)
}

// flatten drops the parentheses of a first part with the same operator as the whole.
func flatten(inner []node) []node {
	if len(inner) == 0 || !inner[0].isGroup("(") {
		return inner
	}
	operator := junction(inner)
	if operator == "" || junction(inner[0].inner) != operator {
		return inner
	}
	return slices.Concat(inner[0].inner, inner[1:])
}

// junction returns AND or OR for the inside of a conjunction or disjunction, "" for anything else. The server separates
// every part from the operator by a blank, and a subquery begins with one.
func junction(inner []node) string {
	operator := ""
	for i, n := range inner {
		switch {
		case i == 0 && n.kind == sqltext.Blank && !n.group:
			return ""
		case n.is("AND") || n.is("OR"):
			if operator != "" && operator != n.text {
				return ""
			}
			operator = n.text
		}
	}
	return operator
}

// castElements moves casts of arrays to their elements.
func castElements(nodes []node) []node {
	for i := 0; i < len(nodes); i++ {
		elements, ok := arrayIn(nodes[i])
		if !ok {
			continue
		}
		typ, length := arrayType(nodes[i+1:])
		if length == 0 {
			continue
		}
		nodes = slices.Concat(nodes[:i], castArray(elements, typ), nodes[i+1+length:])
		i++ // past ARRAY and its elements
	}
	return nodes
}

// arrayIn returns the inside of the brackets of a node that is (ARRAY[…]).
func arrayIn(n node) (elements []node, ok bool) {
	if !n.isGroup("(") || len(n.inner) != 2 || !n.inner[0].is("ARRAY") || !n.inner[1].isGroup("[") {
		return nil, false
	}
	return n.inner[1].inner, true
}

// arrayType returns the type of an array's elements if nodes begin with a cast to an array, as in ::text[], and how
// many nodes the cast has; 0 if they don't.
func arrayType(nodes []node) (typ []node, length int) {
	if len(nodes) < 2 || !nodes[0].is(":") || !nodes[1].is(":") {
		return nil, 0
	}
	for i := 2; i < len(nodes); i++ {
		n := nodes[i]
		switch {
		case n.isGroup("[") && len(n.inner) == 0 && i > 2:
			return nodes[2:i], i + 1
		case i == 2 && !n.group && (n.kind == sqltext.Word || n.kind == sqltext.Quoted):
		case n.is("."), n.is(" "), nodes[i-1].is(".") && !n.group, n.isGroup("(") && isModifier(n.inner):
		case !slices.Contains(typeWords, n.text) || n.group:
			return nil, 0
		}
	}
	return nil, 0
}

// typeWords are those that follow the first in the names of the server's types.
var typeWords = strings.Fields("varying precision with without time zone year month day hour minute second to")

// isModifier reports whether the inside of parentheses is that of numeric(10,2).
func isModifier(inner []node) bool {
	return len(inner) > 0 && !slices.ContainsFunc(inner, func(n node) bool {
		return n.group || !n.is(",") && strings.Trim(n.text, "0123456789-") != ""
	})
}

// castArray is an array whose elements are cast each, those of an array in an array too.
func castArray(elements, typ []node) []node {
	var cast []node
	for i, e := range split(elements) {
		if i > 0 {
			cast = append(cast, node{text: ","}, node{text: " ", kind: sqltext.Blank})
		}
		if len(e) == 2 && e[0].is("ARRAY") && e[1].isGroup("[") {
			cast = append(cast, castArray(e[1].inner, typ)...)
			continue
		}
		cast = append(cast, node{text: "(", group: true, inner: e}, node{text: ":"}, node{text: ":"})
		cast = append(cast, typ...)
	}
	return []node{{text: "ARRAY", kind: sqltext.Word}, {text: "[", group: true, inner: cast}}
}

// split splits nodes at their commas and drops the blank after each.
func split(nodes []node) (parts [][]node) {
	for len(nodes) > 0 {
		i := slices.IndexFunc(nodes, func(n node) bool { return n.is(",") })
		if i < 0 {
			return append(parts, nodes)
		}
		parts = append(parts, nodes[:i])
		if nodes = nodes[i+1:]; len(nodes) > 0 && nodes[0].is(" ") {
			nodes = nodes[1:]
		}
	}
	return parts
}
