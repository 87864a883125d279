package migration

import (
	"fmt"
	"slices"
	"strings"

	"github.com/org/neon-tenants-action/internal/grace"
	"github.com/org/neon-tenants-action/internal/postgres"
	"github.com/org/neon-tenants-action/internal/sqltext"
)

// CREATE INDEX IF NOT EXISTS passes over an invalid index also inside a transaction: one that CONCURRENTLY has left,
// by hand or in an earlier form of the file. A unique one lets duplicates in.

// wantedIndex is an index that a statement creates only if there is none of its name.
type wantedIndex struct {
	name  string
	table []string // tokens, with the schema if the statement gives one
}

// createsIndexIfMissing returns the index of CREATE INDEX IF NOT EXISTS.
func (s statement) createsIndexIfMissing() (w wantedIndex, ok bool) {
	rest, ok := s.tokens, s.tokens[0] == "create"
	for _, optional := range []string{"create", "unique", "index", "concurrently"} {
		if len(rest) > 0 && rest[0] == optional {
			rest = rest[1:]
		}
	}
	if !ok || !sqltext.Begins(rest, "if", "not", "exists") || len(rest) < 6 || rest[4] != "on" {
		return wantedIndex{}, false
	}
	if w.name, ok = sqltext.Unquote(rest[3]); !ok {
		return wantedIndex{}, false
	}
	if rest = rest[5:]; rest[0] == "only" && len(rest) > 1 {
		rest = rest[1:]
	}
	w.table = rest[:1]
	if len(rest) > 2 && rest[1] == "." {
		w.table = rest[:3]
	}
	return w, true
}

// indexesIfMissing are the indexes that a migration creates only if there are none of their names.
func (m migration) indexesIfMissing() []wantedIndex {
	var all []wantedIndex
	for _, s := range m.statements {
		if w, ok := s.createsIndexIfMissing(); ok {
			all = append(all, w)
		}
	}
	return all
}

// validIndexes is SQL that fails, by a division by zero, if one of the indexes is invalid.
func validIndexes(wanted []wantedIndex) string {
	var pairs []string
	for _, w := range wanted {
		pairs = append(pairs, fmt.Sprintf("(%s, pg_catalog.to_regclass(%s))",
			sqltext.QuoteLiteral(w.name), sqltext.QuoteLiteral(strings.Join(w.table, ""))))
	}
	return "select 1 / (not exists (select from pg_catalog.pg_index i " +
		"join pg_catalog.pg_class c on c.oid = i.indexrelid where not i.indisvalid and c.relkind = 'i' " +
		"and (c.relname, i.indrelid) in (" + strings.Join(pairs, ", ") + ")))::int"
}

// passedOver rolls a migration back and returns the invalid indexes over which it has passed.
func (a *applier) passedOver(m migration) []postgres.InvalidIndex {
	late, cancel := grace.Context(a.ctx, afterwards)
	defer cancel()
	if _, err := a.conn.Exec(late, "rollback"); err != nil {
		return nil
	}
	all, err := a.conn.InvalidIndexes(late, a.schema)
	if err != nil {
		return nil
	}
	return slices.DeleteFunc(all, func(i postgres.InvalidIndex) bool {
		return !slices.ContainsFunc(m.indexesIfMissing(), func(w wantedIndex) bool {
			table, _ := sqltext.Unquote(w.table[len(w.table)-1])
			return w.name == i.Name && table == i.Table
		})
	})
}
