package fingerprint

import (
	"context"
	"slices"
	"strings"

	"github.com/org/neon-tenants-action/internal/postgres"
	"github.com/org/neon-tenants-action/internal/sqltext"
)

func (r *reader) readIndex(w row) error {
	i, l := r.relations[w.oid(0)], r.relations[w.oid(1)]
	if r.portable && !w.is(3) && (i == nil || i.kind != 'I') {
		return nil // as a dump does
	}
	if l != nil && w[4] != nil {
		l.identityIndex = w.text(4)
	}
	if i == nil || l == nil || r.constrained[w.oid(0)] {
		return nil
	}
	unique, valid := w.is(2), w.is(3)
	head := "CREATE " + when(unique, "UNIQUE ") + "INDEX " + i.quoted + " ON " + when(i.kind == 'I', "ONLY ") +
		l.qualified()
	if len(w[5]) < len(head) {
		return ErrChanged
	}
	definition := when(unique, "unique ") + "ON " + l.name + withoutOptions(w.text(5)[len(head):], i.options) +
		when(!valid && !r.portable, ", not valid") // one of a partitioned table becomes it
	r.emit(object{kind: "index", name: i.name, parent: l.name, definition: definition})
	if !valid && !r.portable && i.kind != 'I' {
		r.unfinished = append(r.unfinished, unfinished{w.text(0), i.name})
	}
	return nil
}

// abandoned returns the indexes that are not valid, and that no session is building. It asks for nothing if there are
// none, because that takes a new session long.
func abandoned(ctx context.Context, c *postgres.Conn, indexes []unfinished) (names []string, err error) {
	if len(indexes) == 0 {
		return nil, nil
	}
	numbers, name := make([]string, len(indexes)), map[string]string{}
	for i, x := range indexes {
		numbers[i], name[x.oid] = x.oid, x.name
	}
	answers, err := c.Results(ctx, "set transaction read only; select i.indexrelid from pg_catalog.pg_index i "+
		"where i.indexrelid in ("+sqltext.QuoteLiterals(numbers)+") and "+postgres.AbandonedIndex)
	if err != nil {
		return nil, err
	}
	for _, row := range answers[1] {
		names = append(names, "index "+name[string(row[0])])
	}
	return names, nil
}

// withoutOptions takes the storage parameters, given as "name=value", out of an index's definition.
func withoutOptions(definition string, options []string) string {
	if options == nil {
		return definition
	}
	for at := 0; ; {
		i := strings.Index(definition[at:], " WITH (")
		if i < 0 {
			return definition
		}
		at += i
		rest, ok := cutOptions(definition[at+len(" WITH ("):], options)
		if ok {
			return strings.ReplaceAll(definition, strings.TrimSuffix(definition[at:], rest), "")
		}
		at++
	}
}

// cutOptions returns what follows the storage parameters that a text begins with. The server quotes names and values
// where it has to.
func cutOptions(text string, options []string) (rest string, ok bool) {
	for i, option := range options {
		name, value, _ := strings.Cut(option, "=")
		for _, variants := range [][]string{
			{when(i > 0, ", ") + name, when(i > 0, ", ") + `"` + strings.ReplaceAll(name, `"`, `""`) + `"`},
			{"=" + value, "=" + quoteLiteral(value)},
		} {
			j := slices.IndexFunc(variants, func(v string) bool { return strings.HasPrefix(text, v) })
			if j < 0 {
				return "", false
			}
			text = text[len(variants[j]):]
		}
	}
	return strings.CutPrefix(text, ")")
}
