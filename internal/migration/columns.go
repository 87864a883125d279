package migration

import (
	"cmp"
	"slices"
	"strings"

	"github.com/org/neon-tenants-action/internal/sqltext"
)

// column is what an ADD COLUMN says.
type column struct {
	name     string // as it is written
	ifAbsent bool
	typ      string // with its collation
	parts    []columnPart
}

// columnPart is one of the column's constraints, or its default.
type columnPart struct {
	kind     string // "not null", "default", "check", "references", "unique", "primary", "generated", "null"
	name     string // of the constraint, as it is written; "" if it has none
	text     string // from its first word, without the name
	from, to int    // its tokens
}

// part returns the first part of a kind.
func (c column) part(kind string) (columnPart, bool) {
	for _, p := range c.parts {
		if p.kind == kind {
			return p, true
		}
	}
	return columnPart{}, false
}

func (c column) has(kind string) bool {
	_, ok := c.part(kind)
	return ok
}

// newColumn reads the column that the action adds.
func (a action) newColumn() (c column) {
	i := a.columnAt()
	if i >= len(a.tokens) {
		return c
	}
	c.name, c.ifAbsent = a.tokens[i], a.tokens[i-1] == "exists"
	typeAt := i + 1
	end := a.nextPart(typeAt)
	c.typ = a.part(typeAt, end)
	for i = end; i < len(a.tokens); i = end {
		p := columnPart{}
		if a.tokens[i] == "constraint" && i+2 < len(a.tokens) {
			p.name, i = a.tokens[i+1], i+2
		}
		p.kind = a.tokens[i]
		at := i + 1
		switch p.kind {
		case "not":
			p.kind, at = "not null", i+2
		case "primary":
			at = i + 2
		case "default":
			if sqltext.Begins(a.tokens[at:], "null") { // it is the value
				at++
			}
		case "generated":
			for at < len(a.tokens) && !slices.Contains([]string{"stored", "virtual", "identity"}, a.tokens[at]) {
				at++
			}
		}
		end = a.nextPart(min(at, len(a.tokens)))
		p.from, p.to, p.text = i, end, a.part(i, end)
		if p.kind == "collate" {
			c.typ += " " + p.text
			continue
		}
		c.parts = append(c.parts, p)
	}
	return c
}

// nextPart returns the index of the first token from i on that begins a part of a column's definition.
func (a action) nextPart(i int) int {
	depth := 0
	for ; i < len(a.tokens); i++ {
		switch a.tokens[i] {
		case "(", "[", "case":
			depth++
		case ")", "]", "end":
			depth--
		case "not":
			if depth == 0 && sqltext.Begins(a.tokens[i:], "not", "null") {
				return i
			}
		case "null", "default":
			if depth == 0 && a.tokens[i-1] != "set" { // ON DELETE SET NULL
				return i
			}
		case "collate", "constraint", "check", "references", "unique", "primary", "generated":
			if depth == 0 {
				return i
			}
		}
	}
	return i
}

// columnAt is the index of the name of the column that the action adds or alters.
func (a action) columnAt() int {
	i := 1
	for _, skip := range [][]string{{"column"}, {"if", "not", "exists"}, {"if", "exists"}} {
		if sqltext.Begins(a.tokens[min(i, len(a.tokens)):], skip...) {
			i += len(skip)
		}
	}
	return i
}

// column is the column that the action adds or alters.
func (a action) column() string {
	if i := a.columnAt(); i < len(a.tokens) {
		return a.tokens[i]
	}
	return "…"
}

// newType is the index of the type that the action gives to a column; 0 if it gives none.
func (a action) newType() int {
	i := min(a.columnAt()+1, len(a.tokens))
	switch {
	case sqltext.Begins(a.tokens[i:], "type"):
		return i + 1
	case sqltext.Begins(a.tokens[i:], "set", "data", "type"):
		return i + 3
	}
	return 0
}

// serialTypes are the types behind the names that make a sequence too.
var serialTypes = map[string]string{
	"smallserial": "smallint", "serial2": "smallint", "serial": "integer", "serial4": "integer",
	"bigserial": "bigint", "serial8": "bigint",
}

// serial is the type behind the column's; "" if it is none that makes a sequence.
func (c column) serial() string { return serialTypes[sqltext.Fold(c.typ)] }

// inSteps adds the column as the action does, but so that no step keeps others from the table for long: first the plain
// column, then its values, then each constraint. It returns "" where PostgreSQL has no such steps.
func (a action) inSteps() string {
	c := a.newColumn()
	value, generated := c.part("generated")
	if generated && !strings.HasSuffix(sqltext.Fold(value.text), "stored") ||
		a.partitioned() && (c.has("references") || c.has("unique") || c.has("primary")) {
		return ""
	}
	add, fill := a.withoutConstraints(c)
	notNull := c.has("not null") || c.serial() != ""
	if notNull && !a.rewritten { // the default is the value of each row, which PostgreSQL does not look at
		add, notNull = strings.TrimSuffix(add, ";")+" not null;", false
	}
	return steps(slices.Concat([]string{add, fill}, a.constraintsOf(c, notNull))...)
}

// withoutConstraints adds a column, with its default if that does not rewrite the table; otherwise fill gives the rows
// their values.
func (a action) withoutConstraints(c column) (add, fill string) {
	column := "add column "
	if c.ifAbsent {
		column += "if not exists "
	}
	column += c.name
	update := "update " + a.table + " set " + c.name + " = "
	byDefault := update + "default where " + c.name + " is null;" + inBatches
	value, generated := c.part("generated")
	def, hasDefault := c.part("default")
	switch serial := c.serial(); {
	case generated:
		expression := a.part(slices.Index(a.tokens[value.from:], "(")+value.from, value.to-1)
		return a.alter(column+" "+c.typ) + " -- new rows get their value from a trigger",
			update + expression + " where " + c.name + " is distinct from " + expression + ";" + inBatches
	case serial != "":
		sequence := a.beside(a.name("seq", c.name))
		return a.alter(column+" "+serial) +
			"\ncreate sequence " + sequence + " as " + serial + " owned by " + a.table + "." + c.name + ";\n" +
			a.alter("alter column "+c.name+" set default nextval("+sqltext.QuoteLiteral(sequence)+")"), byDefault
	case hasDefault && a.rewritten:
		return a.alter(column+" "+c.typ) + "\n" + a.alter("alter column "+c.name+" set "+def.text), byDefault
	case hasDefault:
		return a.alter(column + " " + c.typ + " " + def.text), ""
	}
	return a.alter(column + " " + c.typ), ""
}

const inBatches = " -- in batches, outside the migration"

// constraintsOf are the files that add a new column's constraints.
func (a action) constraintsOf(c column, notNull bool) (files []string) {
	var indexes []string
	for _, p := range c.parts {
		name := p.name
		switch p.kind {
		case "check":
			files = append(files, a.addThenValidate(cmp.Or(name, a.name("check", c.name)), p.text)...)
		case "references":
			files = append(files, a.addThenValidate(cmp.Or(name, a.name("fkey", c.name)),
				"foreign key ("+c.name+") "+p.text)...)
		case "unique", "primary":
			u := a.unique(p.from, p.to)
			u.columns = "(" + c.name + ")"
			u.name = cmp.Or(name, a.name("key", c.name))
			if p.kind == "primary" {
				u.name = cmp.Or(name, a.name("pkey"))
			}
			indexes = append(indexes, a.byIndex(u, []string{c.name}, p.kind == "primary" && !notNull)...)
		}
	}
	if notNull {
		files = append(files, a.notNull(c.name)...)
	}
	return append(files, indexes...)
}
