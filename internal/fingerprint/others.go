package fingerprint

import (
	"slices"
	"strings"

	"github.com/org/neon-tenants-action/internal/sqltext"
)

func (r *reader) readRoutine(w row) error {
	space := r.spaces[w.oid(0)]
	if space == nil {
		return nil
	}
	if w[2] == nil {
		return ErrChanged
	}
	kind := w.letter(3)
	if kind == 'a' {
		r.uncommon = true
		return nil
	}
	settings, err := w.list(14)
	o := object{kind: "function", name: space.prefix + w.text(1) + "(" + w.text(2) + ")", definition: join(" ",
		w.with("(", 4, ")"), w.with("returns ", 5, ""), "language", w.text(6), when(kind == 'w', "window"),
		map[byte]string{'i': "immutable", 's': "stable"}[w.letter(7)], when(w.is(8), "strict"),
		when(w.is(9), "security definer"), when(w.is(10), "leakproof"),
		map[byte]string{'s': "parallel safe", 'r': "parallel restricted"}[w.letter(11)],
		w.with("cost ", 12, ""), when(w.text(13) != "0", w.with("rows ", 13, "")), r.settings(settings))}
	if kind == 'p' {
		o.kind = "procedure"
	}
	if w[15] != nil {
		o.definition += "\n" + w.text(15)
	} else {
		o.body = "\n" + w.text(16) + w.with(" ", 17, "")
	}
	r.emit(o)
	return err
}

// settings prints those of a function, given as "name=value".
func (r *reader) settings(settings []string) string {
	slices.Sort(settings)
	var all []string
	for _, s := range settings {
		name, value, _ := strings.Cut(s, "=")
		switch {
		case r.own != "" && value == r.own:
			value = "(its own)"
		case name == "search_path":
			if value == "" {
				continue
			}
			value = r.path(value)
		}
		all = append(all, "set "+name+"="+value)
	}
	return strings.Join(all, " ")
}

// path prints a search_path. The server quotes all names in it that have been quoted, also needlessly.
func (r *reader) path(path string) string {
	if r.portable {
		return listed(path)
	}
	path = strings.ReplaceAll(path, `"`+strings.ReplaceAll(r.home, `"`, `""`)+`"`, "(its own)")
	schemas := strings.Split(path, ",")
	for i, s := range schemas {
		if schemas[i] = strings.Trim(s, " "); schemas[i] == r.quotedHome {
			schemas[i] = "(its own)"
		}
	}
	return strings.Join(schemas, ", ")
}

// listed prints a search_path with all names in it quoted. A dump and load takes needless quotes away, and quotes names
// with capitals.
func listed(path string) string {
	var names []string
	for rest := path; rest != ""; {
		end, quoted := 0, false
		for ; end < len(rest) && (quoted || rest[end] != ','); end++ {
			quoted = quoted != (rest[end] == '"')
		}
		name := strings.Trim(rest[:end], " ")
		if !strings.HasPrefix(name, `"`) {
			name = sqltext.QuoteIdentifier(name)
		}
		names, rest = append(names, name), rest[min(end+1, len(rest)):]
	}
	return strings.Join(names, ", ")
}

func (r *reader) readLabel(w row) error {
	number := w.oid(0)
	r.labels[number] = append(r.labels[number], numbered{w.number(1), quoteLiteral(w.text(2))})
	return nil
}

func (r *reader) readType(w row) error {
	space, number := r.spaces[w.oid(1)], w.oid(0)
	if space == nil || r.members[member{catalogs["pg_type"], number}] {
		return nil
	}
	name := space.prefix + w.text(2)
	switch w.letter(3) {
	case 'r':
		r.uncommon = true
	case 'e':
		r.emit(object{kind: "type", name: name, definition: "enum (" + strings.Join(inOrder(r.labels[number]), ", ") + ")"})
	case 'd':
		checks := r.checks[number]
		slices.SortFunc(checks, func(a, b check) int { return strings.Compare(a.name, b.name) })
		parts := []string{
			w.text(4), w.with("collate ", 5, ""), when(w.is(6), "not null"), w.with("default ", 7, ""),
		}
		for _, c := range checks {
			parts = append(parts, c.definition)
		}
		r.emit(object{kind: "domain", name: name, definition: join(" ", parts...)})
	}
	return nil
}
