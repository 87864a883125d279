package migration

import (
	"cmp"

	"github.com/org/neon-tenants-action/internal/postgres"
)

// facts are what a trace knows, besides what it tells, about the tables and indexes that its statements locked.
type facts struct {
	home  string // the schema of names without one
	known map[[2]string]fact
}

// fact is about one relation.
type fact struct {
	kind    string           // relkind
	notNull map[int][]string // of a statement: the columns that a valid check said were not null
}

// of returns what is known of a relation by the parts of its name; nothing if it is not known.
func (f facts) of(name []string) fact {
	switch n := len(name); n {
	case 0:
		return fact{}
	case 1:
		return f.known[[2]string{cmp.Or(f.home, postgres.PublicSchema), name[0]}]
	default:
		return f.known[[2]string{name[n-2], name[n-1]}]
	}
}

// add adds what is known of a relation.
func (f *facts) add(r relation) fact {
	key := [2]string{r.schema, r.plain}
	one, known := f.known[key]
	if !known {
		if f.known == nil {
			f.known = map[[2]string]fact{}
		}
		one = fact{r.kind, map[int][]string{}}
		f.known[key] = one
	}
	return one
}
