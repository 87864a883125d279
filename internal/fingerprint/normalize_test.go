package fingerprint_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"github.com/org/neon-tenants-action/internal/fingerprint"
	"github.com/org/neon-tenants-action/internal/postgres/pgtest"
	"github.com/org/neon-tenants-action/internal/sqltext"
)

func TestNormalize(t *testing.T) {
	for name, c := range map[string]struct{ definition, want string }{
		"nothing": {"CHECK ((a > 0))", "CHECK ((a > 0))"},
		"an array": {
			"((a)::text = ANY ((ARRAY['x'::bpchar, 'y, (z'::bpchar])::text[]))",
			"((a)::text = ANY (ARRAY[('x'::bpchar)::text, ('y, (z'::bpchar)::text]))",
		},
		"of arrays": {
			"(ARRAY[ARRAY[1, 2], ARRAY[3]])::bigint[]",
			"ARRAY[ARRAY[(1)::bigint, (2)::bigint], ARRAY[(3)::bigint]]",
		},
		"empty":  {"(ARRAY[])::text[]", "ARRAY[]"},
		"a type": {`(ARRAY[a])::"My".numeric(10,2)[]`, `ARRAY[(a)::"My".numeric(10,2)]`},
		"of words": {
			"(ARRAY[a])::timestamp(3) without time zone[]",
			"ARRAY[(a)::timestamp(3) without time zone]",
		},
		"no array":   {"(ARRAY[a])::text IN (ARRAY[])", "(ARRAY[a])::text IN (ARRAY[])"},
		"a domain":   {"(ARRAY[a])::tags", "(ARRAY[a])::tags"},
		"an element": {"(ARRAY[a])[1]", "(ARRAY[a])[1]"},
		"twice": {
			"(x = (ARRAY[a])::text[]) AND (ARRAY[b])::text[] = y",
			"(x = ARRAY[(a)::text]) AND ARRAY[(b)::text] = y",
		},
		"a first part": {"(((a >= 1) AND (a <= 2)) AND b)", "((a >= 1) AND (a <= 2) AND b)"},
		"a last part":  {"(b AND ((a >= 1) AND (a <= 2)))", "(b AND ((a >= 1) AND (a <= 2)))"},
		"deep":         {"((((a OR b) OR c) OR d) AND e)", "((a OR b OR c OR d) AND e)"},
		"of another":   {"(((a) OR (b)) AND c)", "(((a) OR (b)) AND c)"},
		"a subquery":   {"(( SELECT (a AND b) AND c) AND d)", "(( SELECT (a AND b) AND c) AND d)"},
		"a name":       {`((a AND b) "AND" c)`, `((a AND b) "AND" c)`},
		"a text": {
			"('((a AND b) AND c)' AND '(ARRAY[a])::text[]')",
			"('((a AND b) AND c)' AND '(ARRAY[a])::text[]')",
		},
		"a frame": {
			"OVER (ROWS BETWEEN 1 PRECEDING AND CURRENT ROW)",
			"OVER (ROWS BETWEEN 1 PRECEDING AND CURRENT ROW)",
		},
		"unbalanced": {"(((a AND b) AND c)", "(((a AND b) AND c)"},
		"mismatched": {"((a AND b] AND c)", "((a AND b] AND c)"},
	} {
		if got := fingerprint.Normalize(c.definition); got != c.want {
			t.Errorf("%s: got\n%s\nwant\n%s", name, got, c.want)
		}
	}
}

// The server is the judge: the normal form is what it prints after it has read its own text. So two definitions are
// equal only if the server makes them equal, and stay different otherwise.
func TestNormalFormIsTheServersOwn(t *testing.T) {
	url := pgtest.Database(t)
	pgtest.Do(t, url, `create table t (a integer, b integer, s varchar(9), c char(3), x text, f boolean, g boolean,
		tags text[], d double precision, n numeric(9, 2), at date)`)
	random := rand.New(rand.NewPCG(1, 2))
	const count = 400
	var add []string
	for i := range count {
		add = append(add, fmt.Sprintf("add constraint c%03d check (%s)", i, condition(random, 3)))
	}
	first := constraints(t, url, add)
	add = nil
	for i, printed := range first {
		add = append(add, fmt.Sprintf("drop constraint c%03d, add constraint c%03d %s", i, i, printed))
	}
	second := constraints(t, url, add)
	changed, meanings := 0, map[string]string{}
	for i := range first {
		got := fingerprint.Normalize(first[i])
		if got != second[i] || fingerprint.Normalize(got) != got {
			t.Errorf("the server reads\n%s\nas\n%s\nand the normal form is\n%s", first[i], second[i], got)
		}
		if first[i] != second[i] {
			changed++
		}
		if before, seen := meanings[got]; seen && before != second[i] {
			t.Errorf("%s stands for two definitions", got)
		}
		meanings[got] = second[i]
	}
	if len(first) != count || changed < count/3 || len(meanings) < count*9/10 {
		t.Errorf("of %d definitions %d change, %d are different", len(first), changed, len(meanings))
	}
}

// constraints alters the table t and returns the definitions of its constraints in the order of their names.
func constraints(t *testing.T, url string, actions []string) []string {
	t.Helper()
	pgtest.Do(t, url, "alter table t "+strings.Join(actions, ", "))
	return pgtest.Ask(t, url, `select pg_get_constraintdef(oid) from pg_constraint where conrelid = 't'::regclass
		order by conname collate "C"`)
}

// condition returns a random condition on the columns of the table t, with the operators that servers print in more
// than one way and some that they don't.
func condition(random *rand.Rand, depth int) string {
	if depth > 0 && random.IntN(4) > 0 {
		one, other := condition(random, depth-1), condition(random, depth-1)
		forms := []string{
			"%s and %s", "%s or %s", "(%s) and (%s)", "(%s) or (%s)", "not (%s) and %s", "(%s) and %s", "%s and (%s)",
			"(%s) or %s", "%s or (%s)", "case when %s then true else %s end", "coalesce(%s, %s)", "(%s) is true and %s",
			"(%s) is distinct from (%s)",
		}
		return fmt.Sprintf(forms[random.IntN(len(forms))], one, other)
	}
	forms := []string{
		"a between %d and 5", "b not between %d and 7", "a between symmetric %d and b", "s in ('x%d', 'y')",
		"s not in ('AND', '%d')", "c in ('a', '%d')", "x in ('a', '%d')", "a in (%d, b, 3)", "b not in (%d, a)",
		"(a, b) = (1, %d)", "(a, b) <> (1, %d)", "(a, b) in ((1, %d), (2, 3))", "(a, b) < (1, %d)", "a > -%d", "d > %d",
		"n in (1, %d.5)", "f and a <> %d", "s like any (array['a%%', '%d'])", "s = all (array['q', null, '%d'])",
		"tags @> array['%d', 'b']::varchar[]::text[]", "tags <> array[array['%d'], array['c']]::varchar[]::text[]",
		"at between '2020-01-0%d' and current_date", "s || '%d' > x", "s::text ~ '^%d'",
		"f is not distinct from (a = %d)",
		"x = any (array[s, '%d'])", "s in ('it''s', 'b(', 'c]%d')", "upper(s) in ('A', '%d')", "not (a = 1 and b = %d)",
		"a = any (array[1, %d]::bigint[])", "s in (c, x, '%d')", "array[s, '%d'] <@ tags::varchar[]",
	}
	return fmt.Sprintf(forms[random.IntN(len(forms))], 1+random.IntN(9))
}

// What differs in any word, name, text or number stays different.
func TestMutationsStillDiffer(t *testing.T) {
	corpus, err := os.ReadFile("testdata/corpus.sql")
	if err != nil {
		t.Fatal(err)
	}
	url := newDatabase(t, pgtest.Shared(t), "mutated")
	pgtest.Do(t, url, string(corpus))
	_, objects := look(t, url, fingerprint.Options{})
	mutations := 0
	for _, o := range objects {
		seen := map[string]int{fingerprint.Normalize(o.Definition): -1}
		for i := 0; i < len(o.Definition); {
			end, kind := sqltext.Token(o.Definition, i)
			word := o.Definition[i:end]
			changed := word
			switch {
			case word == "AND":
				changed = "OR"
			case word == "OR":
				changed = "AND"
			case kind == sqltext.Word:
				changed = word + "x"
			case kind == sqltext.Quoted:
				changed = word[:1] + "x" + word[1:]
			case kind == sqltext.Other && strings.Contains("<>+-=", word):
				changed = "%"
			}
			if changed != word {
				mutated := o.Definition[:i] + changed + o.Definition[end:]
				if before, same := seen[fingerprint.Normalize(mutated)]; same {
					t.Errorf("%s %s: changes at %d and %d come to the same:\n%s", o.Kind, o.Name, before, i, mutated)
				}
				seen[fingerprint.Normalize(mutated)] = i
				mutations++
			}
			i = end
		}
	}
	if mutations < 2500 {
		t.Errorf("%d mutations", mutations)
	}
}
