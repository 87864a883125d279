package fingerprint

import (
	"cmp"
	"slices"
	"strings"

	"github.com/org/neon-tenants-action/internal/postgres"
)

// reader makes the objects of common kinds of the rows that common.sql reads.
type reader struct {
	whole    bool         // a database, not a schema
	portable bool         // see [Options]
	home     string       // the schema whose name is left out
	emit     func(object) // receives each object once its last row was read

	// own is the tenant's own name, empty if it is a name like any other, quotedHome is home as the server writes it, and
	// session is the role that the session connected as.
	own, quotedHome, session string

	schemas     map[oid]string // the names of all that were read
	spaces      map[oid]*space
	members     map[member]bool
	relations   map[oid]*relation
	defaults    map[position]string
	unchecked   map[oid][]string   // what changes a foreign key is not checked on
	constrained map[oid]bool       // indexes of constraints
	checks      map[oid][]check    // of domains
	labels      map[oid][]numbered // of enums, quoted

	extensions []string
	uncommon   bool
	unfinished []unfinished
}

// object is an [Object] before its definition is normalized.
type object struct {
	kind, name, parent, definition string
	body                           string // the rest of the definition, which is never normalized
	invalid                        bool   // a constraint that was never checked
}

// position is that of a column in a relation.
type position struct {
	relation oid
	column   string
}

// member is an object of an extension.
type member struct{ catalog, oid oid }

// space is a schema that counts.
type space struct{ quoted, prefix string }

// relation is a table, view, sequence, index or composite type that counts.
type relation struct {
	kind                      byte
	name, quoted              string
	space                     *space
	owner, rowType            oid
	unlogged, secured, forced bool
	identity                  byte // replica identity
	identityIndex             string
	options                   []string
	partitionKey, of          string
	parents                   []numbered
	attributes                map[int]string // of a composite type, by their numbers
}

// qualified is its name with the schema.
func (l *relation) qualified() string { return l.space.quoted + "." + l.quoted }

// isTable reports whether its columns are objects.
func (l *relation) isTable() bool { return l.kind == 'r' || l.kind == 'p' || l.kind == 'f' }

// check is a constraint of a domain.
type check struct{ name, definition string }

// numbered is a text with its place among others.
type numbered struct {
	at   float64
	text string
}

// inOrder returns the texts by their numbers.
func inOrder(all []numbered) []string {
	slices.SortFunc(all, func(a, b numbered) int { return cmp.Compare(a.at, b.at) })
	texts := make([]string, len(all))
	for i, n := range all {
		texts[i] = n.text
	}
	return texts
}

// unfinished is an index that is not valid. Another session may be building it.
type unfinished struct{ oid, name string }

func newReader(o Options, emit func(object)) *reader {
	return &reader{
		whole: o.Schema == "", portable: o.Portable, home: cmp.Or(o.Schema, postgres.PublicSchema), emit: emit,
		schemas: map[oid]string{}, spaces: map[oid]*space{}, members: map[member]bool{}, relations: map[oid]*relation{},
		defaults: map[position]string{}, unchecked: map[oid][]string{},
		constrained: map[oid]bool{}, checks: map[oid][]check{}, labels: map[oid][]numbered{},
	}
}

// read returns what reads a row of each statement of common.sql, by its title.
func (r *reader) read() map[string]func(row) error {
	return map[string]func(row) error{
		"names": r.readNames, "spaces": r.readSpace, "members": r.readMember, "extensions": r.readExtension,
		"uncommon": r.readUncommon, "publications": r.readPublication, "relations": r.readRelation,
		"parents": r.readParent, "defaults": r.readDefault, "columns": r.readColumn, "triggers": r.readTrigger,
		"constraints": r.readConstraint, "indexes": r.readIndex, "sequences": r.readSequence, "rules": r.readRule,
		"policies": r.readPolicy, "routines": r.readRoutine, "labels": r.readLabel, "types": r.readType,
	}
}

func (r *reader) readNames(w row) error {
	r.own, r.quotedHome, r.session = w.text(0), w.text(1), w.text(8)
	if !r.whole || r.portable {
		return nil
	}
	name := func(before string, i int) string { // a dump and load may spell it otherwise
		return before + quoteLiteral(strings.ReplaceAll(w.text(i), "UTF-8", "utf8"))
	}
	quoted := func(before string, i int) string {
		if w[i] == nil {
			return ""
		}
		return before + quoteLiteral(w.text(i))
	}
	provider := w.text(5)
	r.emit(object{kind: "database", name: "locale", definition: join(" ", "encoding", w.text(2), name("collate ", 3),
		name("ctype ", 4), when(provider != "" && provider != "c", "provider "+provider), quoted("locale ", 6),
		quoted("rules ", 7))})
	return nil
}

func (r *reader) readSpace(w row) error {
	name := w.text(1)
	r.schemas[w.oid(0)] = name
	if w.is(4) || r.whole && (strings.HasPrefix(name, "pg_") || name == "information_schema") {
		return nil
	}
	s := &space{quoted: w.text(2)}
	if !w.is(3) {
		s.prefix = s.quoted + "."
	}
	r.spaces[w.oid(0)] = s
	return nil
}

// readMember reads an object of an extension, which does not count.
func (r *reader) readMember(w row) error {
	m := member{w.oid(0), w.oid(1)}
	if r.members[m] = true; m.catalog == catalogs["pg_namespace"] {
		delete(r.spaces, m.oid)
	}
	return nil
}

func (r *reader) readUncommon(w row) error {
	r.uncommon = r.uncommon || !r.members[member{w.oid(0), w.oid(1)}]
	return nil
}

func (r *reader) readPublication(row) error {
	r.uncommon = true
	return nil
}

// readExtension reads an extension. The schema of one need not count.
func (r *reader) readExtension(w row) error {
	name, space := w.text(1), r.spaces[w.oid(0)]
	if name != "plpgsql" {
		r.extensions = append(r.extensions, name+" "+w.text(3))
	}
	switch {
	case r.whole && name != "plpgsql":
		r.emit(object{kind: "extension", name: w.text(2), definition: "schema " + r.schemas[w.oid(0)]})
	case !r.whole && !r.portable && space != nil: // a schema's dump has no extensions
		r.emit(object{kind: "extension", name: w.text(2)})
	}
	return nil
}

func (r *reader) readRelation(w row) error {
	space, kind := r.spaces[w.oid(1)], w.letter(2)
	if space == nil || r.members[member{catalogs["pg_class"], w.oid(0)}] {
		return nil
	}
	name := w.text(3)
	options, err := w.list(10)
	if err != nil {
		return err
	}
	l := &relation{
		kind: kind, quoted: name, name: space.prefix + name, space: space, unlogged: w.letter(4) == 'u',
		secured: w.is(5), forced: w.is(6), identity: w.letter(7), owner: w.oid(8), rowType: w.oid(9), options: options,
		of: w.with("of ", 11, ""), partitionKey: w.with("partition by ", 12, ""),
	}
	r.relations[w.oid(0)] = l
	r.uncommon = r.uncommon || kind == 'p' || kind == 'f'
	if kind == 'v' || kind == 'm' {
		return r.readView(l, w[13])
	}
	return nil
}

// finish emits what has parts that were read after it.
func (r *reader) finish() {
	for _, s := range r.spaces {
		if s.prefix != "" {
			r.emit(object{kind: "schema", name: s.quoted})
		}
	}
	for _, l := range r.relations {
		switch {
		case l.isTable():
			r.emit(object{kind: tableKinds[l.kind], name: l.name, definition: l.table()})
		case l.kind == 'c' && !r.members[member{catalogs["pg_type"], l.rowType}]:
			r.emit(object{kind: "type", name: l.name, definition: l.composite()})
		}
	}
}
