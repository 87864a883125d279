package migration

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/org/neon-tenants-action/internal/sqltext"
)

// outsideTransaction begins a file whose statement cannot run in a transaction.
const outsideTransaction = "-- migrate:up transaction:false\n"

// steps writes files, those that are not empty, one after the other.
func steps(files ...string) string {
	files = slices.DeleteFunc(files, func(f string) bool { return f == "" })
	all := strings.Join(files, "\n\n-- in a file of its own, after that one:\n")
	if strings.HasPrefix(all, outsideTransaction) {
		return "-- in a file of its own:\n" + all
	}
	return all
}

// alter is an ALTER TABLE with one action.
func (a action) alter(text string) string {
	return fmt.Sprintf("alter table %s %s;", a.target, strings.TrimSpace(text))
}

// plain is a name that needs no quotes. A keyword would, but the names here have a suffix.
var plain = regexp.MustCompile(`^[a-z_][a-z0-9_]*$`)

func identifier(name string) string {
	if plain.MatchString(name) {
		return name
	}
	return sqltext.QuoteIdentifier(name)
}

// unquoted is the name that a token stands for.
func unquoted(token string) string {
	if name, ok := sqltext.Unquote(token); ok {
		return name
	}
	return token
}

// name is a name such as PostgreSQL makes for a constraint, of the table and of columns.
func (a action) name(suffix string, columns ...string) string {
	parts := []string{a.relation[len(a.relation)-1]}
	for _, c := range columns {
		parts = append(parts, unquoted(c))
	}
	return identifier(strings.Join(append(parts, suffix), "_"))
}

// beside qualifies a name with the schema that the statement names.
func (a action) beside(name string) string {
	if i := len(a.relation) - 2; i >= 0 {
		return sqltext.QuoteIdentifier(a.relation[i]) + "." + name
	}
	return name
}

// addThenValidate are two files that add a constraint: the second one reads the table, and keeps nobody from it.
func (a action) addThenValidate(name, text string) []string {
	return []string{a.alter("add constraint " + name + " " + text + " not valid"), a.alter("validate constraint " + name)}
}

// validateLater adds the action's constraint like that.
func (a action) validateLater(suffix string) string {
	from, name := 1, ""
	if a.tokens[1] == "constraint" {
		from, name = 3, a.tokens[2]
	}
	columns := a.list(from)
	if suffix == "check" {
		columns = a.firstName(from + 1)
	}
	return steps(a.addThenValidate(cmp.Or(name, a.name(suffix, columns...)), a.part(from, len(a.tokens)))...)
}

// notNull are files that make columns NOT NULL. PostgreSQL reads no row for it if a valid check says the same, but only
// in a statement of its own: one that also drops the check has dropped it before.
func (a action) notNull(columns ...string) []string {
	var set string
	for _, c := range columns {
		set += a.alter("alter column "+c+" set not null") + "\n"
	}
	checks, drop := a.notNullChecks(columns)
	return append(checks, set+drop)
}

// notNullChecks are files that add the checks, and what drops them.
func (a action) notNullChecks(columns []string) (files []string, drop string) {
	var add, validate, drops []string
	for _, c := range columns {
		name := a.name("not_null", c)
		both := a.addThenValidate(name, "check ("+c+" is not null)")
		add, validate = append(add, both[0]), append(validate, both[1])
		drops = append(drops, a.alter("drop constraint "+name))
	}
	return []string{strings.Join(add, "\n"), strings.Join(validate, "\n")}, strings.Join(drops, "\n")
}

// unique is a unique constraint or a primary key in parts, as they are written.
type unique struct {
	name, kind     string // of the constraint; "unique" or "primary key"
	columns        string // with their parentheses
	include, nulls string
	with           string
	tablespace     string
	deferrable     string // and INITIALLY
}

// unique reads a unique constraint in the tokens from that of its kind on.
func (a action) unique(from, to int) (u unique) {
	u.kind = a.tokens[from]
	i := from + 1
	if u.kind == "primary" {
		u.kind, i = "primary key", i+1
	}
	for i < to {
		next := to
		switch a.tokens[i] {
		case "nulls":
			if at := slices.Index(a.tokens[i:to], "distinct"); at >= 0 {
				next = i + at + 1
			}
			u.nulls = " " + a.part(i, next)
		case "(":
			next = min(a.closing(i), to)
			u.columns = a.part(i, next)
		case "include":
			next = min(a.closing(i+1), to)
			u.include = " " + a.part(i, next)
		case "with":
			next = min(a.closing(i+1), to)
			u.with = " " + a.part(i, next)
		case "using": // INDEX TABLESPACE
			next = min(i+4, to)
			u.tablespace = " " + a.part(min(i+2, to), next)
		default:
			u.deferrable = " " + a.part(i, to)
		}
		i = next
	}
	return u
}

// byIndex are files that make the index first, while others write the table. A primary key also takes columns that are
// not null, for which the table would be read.
func (a action) byIndex(u unique, columns []string, checks bool) (files []string) {
	drop := ""
	if checks {
		files, drop = a.notNullChecks(columns)
		drop = "\n" + drop
	}
	return append(files,
		outsideTransaction+"create unique index concurrently if not exists "+u.name+" on "+a.table+" "+u.columns+
			u.include+u.nulls+u.with+u.tablespace+";",
		a.alter("add constraint "+u.name+" "+u.kind+" using index "+u.name+u.deferrable)+drop)
}

// uniqueByIndex adds the action's constraint like that.
func (a action) uniqueByIndex() string {
	if a.partitioned() { // PostgreSQL makes no index of it concurrently
		return ""
	}
	from, name := 1, ""
	if a.tokens[1] == "constraint" {
		from, name = 3, a.tokens[2]
	}
	u := a.unique(from, len(a.tokens))
	columns := a.list(from)
	if u.name = name; name == "" && u.kind == "primary key" {
		u.name = a.name("pkey")
	} else if name == "" {
		u.name = a.name("key", columns...)
	}
	return steps(a.byIndex(u, columns, u.kind == "primary key")...)
}

// list are the columns in the first parentheses from a token on.
func (a action) list(from int) (columns []string) {
	i := slices.Index(a.tokens[from:], "(")
	if i < 0 {
		return nil
	}
	for _, t := range a.tokens[from+i : a.closing(from+i)] {
		if _, ok := sqltext.Unquote(t); ok {
			columns = append(columns, t)
		}
	}
	return columns
}

// firstName is the first name from a token on that is not a function's.
func (a action) firstName(from int) []string {
	for i := from; i < len(a.tokens); i++ {
		if _, ok := sqltext.Unquote(a.tokens[i]); ok && !sqltext.Begins(a.tokens[min(i+1, len(a.tokens)):], "(") {
			return a.tokens[i : i+1]
		}
	}
	return nil
}

// otherType changes a column's type by way of another column.
func (a action) otherType() string {
	from := a.newType()
	to, value := len(a.tokens), a.column()
	if i := slices.Index(a.tokens[from:], "using"); i >= 0 {
		to = from + i
		value = a.part(to+1, len(a.tokens))
	}
	column := identifier(unquoted(a.column()) + "_new")
	return steps(
		a.alter("add column "+column+" "+a.part(from, to))+" -- new rows get their value from a trigger",
		"update "+a.table+" set "+column+" = "+value+" where "+column+" is distinct from "+value+";"+inBatches,
		"-- with the indexes, constraints and the default that the old column has\n"+
			a.alter("drop column "+a.column())+"\n"+a.alter("rename column "+column+" to "+a.column()))
}

// dropIndexes drops each index on its own: CONCURRENTLY takes one, and no CASCADE, nor that of a partitioned table.
func (a action) dropIndexes() string {
	i, exists := 2, ""
	if sqltext.Begins(a.tokens[i:], "if", "exists") {
		i, exists = 4, "if exists "
	}
	var files []string
	for i < len(a.tokens) && a.tokens[i] != "restrict" {
		if a.tokens[i] == "cascade" || a.tokens[i] == "," {
			i++
			continue
		}
		name, next := nameAt(a.tokens, i)
		if a.facts.of(partsOf(a.tokens[i:next])).kind == "I" {
			return ""
		}
		files = append(files, outsideTransaction+"drop index concurrently "+exists+name+";")
		i = next
	}
	if a.has("cascade") {
		return ""
	}
	return steps(files...)
}

// attachChecked attaches a partition whose rows a check has been found to fit.
func (a action) attachChecked() string {
	i := slices.Index(a.tokens, "partition") + 1
	name, next := nameAt(a.tokens, min(i, len(a.tokens)))
	if name == "" {
		return ""
	}
	part := action{target: name, table: name, relation: partsOf(a.tokens[min(i, next):next])}
	check := part.name("fits")
	return steps(slices.Concat(part.addThenValidate(check, "check (… /* what FOR VALUES says */)"),
		[]string{a.alter(a.text) + "\n" + part.alter("drop constraint "+check)})...)
}

// concurrently writes the word after the first of another one.
func (a action) concurrently(after string) string {
	i := slices.Index(a.tokens, after)
	if i < 0 {
		return ""
	}
	return a.part(0, i+1) + " concurrently " + a.part(i+1, len(a.tokens)) + ";"
}
