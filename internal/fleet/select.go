package fleet

import (
	"fmt"
	"hash/fnv"
	"regexp"
	"strconv"
	"strings"
)

// Selection is a compiled list of globs over tenants' names and ids, as a workflow's paths filter has them: an entry
// that begins with ! takes tenants out again, and the last entry that matches decides.
type Selection struct {
	rules []rule
}

type rule struct {
	pattern string
	exclude bool
	match   *regexp.Regexp // nil: the pattern is a name or an id as it stands
}

// matches says whether the rule is about the tenant. A list of a thousand names is compared as such: it is what failed-tenants of
// another run makes.
func (r rule) matches(t Tenant) bool {
	if r.match == nil {
		text := strings.TrimPrefix(r.pattern, "!")
		return t.Name == text || t.ID == text
	}
	return r.match.MatchString(t.Name) || r.match.MatchString(t.ID)
}

// ParseSelection compiles globs: * any run of characters, ? any one, [abc] and [a-z] and [!a] sets, \ the next character
// as it is. Letter case counts. A list that only excludes starts from every tenant.
func ParseSelection(patterns []string) (Selection, error) {
	var s Selection
	for _, p := range patterns {
		glob, exclude := strings.CutPrefix(p, "!")
		if glob == "" {
			return Selection{}, fmt.Errorf("the pattern %q is empty; write a tenant's name, its id, or a glob such as acme-*", p)
		}
		if !strings.ContainsAny(glob, `*?[\`) {
			s.rules = append(s.rules, rule{p, exclude, nil})
			continue
		}
		re, err := compileGlob(glob)
		if err != nil {
			return Selection{}, fmt.Errorf("the pattern %q %w", p, err)
		}
		s.rules = append(s.rules, rule{p, exclude, re})
	}
	if len(s.rules) > 0 && s.rules[0].exclude {
		s.rules = append([]rule{{"*", false, regexp.MustCompile(``)}}, s.rules...)
	}
	return s, nil
}

// Everything says whether the selection takes every tenant there could be, by its rules and not by chance.
func (s Selection) Everything() bool {
	return len(s.rules) == 0 || len(s.rules) == 1 && s.rules[0].pattern == "*"
}

// compileGlob turns a glob into an anchored regular expression.
func compileGlob(glob string) (*regexp.Regexp, error) {
	var b strings.Builder
	b.WriteString(`(?s)\A`)
	runes := []rune(glob)
	for i := 0; i < len(runes); i++ {
		switch c := runes[i]; c {
		case '*':
			b.WriteString(`.*`)
		case '?':
			b.WriteString(`.`)
		case '\\':
			if i++; i == len(runes) {
				return nil, fmt.Errorf(`ends in a lone \; write \\ for the character itself`)
			}
			b.WriteString(regexp.QuoteMeta(string(runes[i])))
		case '[':
			set, next, err := compileSet(runes, i)
			if err != nil {
				return nil, err
			}
			b.WriteString(set)
			i = next
		default:
			b.WriteString(regexp.QuoteMeta(string(c)))
		}
	}
	b.WriteString(`\z`)
	return regexp.Compile(b.String())
}

// compileSet reads a bracketed set that begins at runes[i] and returns it with the index of its closing bracket.
func compileSet(runes []rune, i int) (set string, end int, err error) {
	j := i + 1
	negate := j < len(runes) && (runes[j] == '!' || runes[j] == '^')
	if negate {
		j++
	}
	var body strings.Builder
	for first := true; ; first = false {
		if j >= len(runes) {
			return "", 0, fmt.Errorf(`has a [ without its ]; write \[ for the character itself`)
		}
		if runes[j] == ']' && !first {
			break
		}
		low := runes[j]
		if low == '\\' && j+1 < len(runes) {
			j++
			low = runes[j]
		}
		high := low
		if j+2 < len(runes) && runes[j+1] == '-' && runes[j+2] != ']' {
			j += 2
			if high = runes[j]; high == '\\' && j+1 < len(runes) {
				j++
				high = runes[j]
			}
		}
		if high < low {
			return "", 0, fmt.Errorf("has the backward range %c-%c", low, high)
		}
		fmt.Fprintf(&body, `\x{%x}-\x{%x}`, low, high)
		j++
	}
	if negate {
		return "[^" + body.String() + "]", j, nil
	}
	return "[" + body.String() + "]", j, nil
}

// Matches reports whether the last rule that matches the tenant's name or id includes it.
func (s Selection) Matches(t Tenant) bool {
	chosen := false
	for _, r := range s.rules {
		if r.exclude == chosen && r.matches(t) {
			chosen = !r.exclude
		}
	}
	return chosen
}

// Select returns the tenants that match, in their order, and the inclusive patterns that matched no tenant at all (a
// misspelt name, most likely).
func (s Selection) Select(tenants []Tenant) (chosen []Tenant, idle []string) {
	for _, t := range tenants {
		if s.Matches(t) {
			chosen = append(chosen, t)
		}
	}
	for _, r := range s.rules {
		if r.exclude || r.pattern == "*" {
			continue
		}
		found := false
		for _, t := range tenants {
			if found = r.matches(t); found {
				break
			}
		}
		if !found {
			idle = append(idle, r.pattern)
		}
	}
	return chosen, idle
}

// Shard is one of Count equal shares of a fleet, counted from 1. The zero value is the whole fleet.
type Shard struct{ Index, Count int }

// ParseShard reads "2/8".
func ParseShard(text string) (Shard, error) {
	index, count, ok := strings.Cut(text, "/")
	i, err1 := strconv.Atoi(strings.TrimSpace(index))
	n, err2 := strconv.Atoi(strings.TrimSpace(count))
	if !ok || err1 != nil || err2 != nil || n < 1 || i < 1 || i > n {
		return Shard{}, fmt.Errorf("%q is not a shard of the form 2/8 (the second of eight; the first number is from 1 to the second)", text)
	}
	return Shard{i, n}, nil
}

func (s Shard) String() string {
	if s.Count == 0 {
		return ""
	}
	return fmt.Sprintf("%d/%d", s.Index, s.Count)
}

// Has reports whether the tenant belongs to this share. It depends on the tenant's id alone, so that a tenant stays in
// its shard while others come and go, and the shards of one run cover every tenant exactly once.
func (s Shard) Has(t Tenant) bool {
	if s.Count <= 1 {
		return true
	}
	h := fnv.New64a()
	_, _ = h.Write([]byte(t.ID))
	sum := h.Sum64()
	sum ^= sum >> 32 // FNV's low bits alone spread short ids unevenly
	return int(sum%uint64(s.Count)) == s.Index-1
}

// Select returns this share's tenants, in their order.
func (s Shard) Select(tenants []Tenant) []Tenant {
	var out []Tenant
	for _, t := range tenants {
		if s.Has(t) {
			out = append(out, t)
		}
	}
	return out
}

// KeyBy says what a tenant's key is made from.
type KeyBy string

// The two ways to name tenants.
const (
	KeyByName KeyBy = "name"
	KeyByID   KeyBy = "id"
)

// AssignKeys sets every tenant's key and refuses what would make a chosen tenant share a secret, a folder or a branch with
// another one, chosen or not (a run of other tenants has the same folders): two with one key, or a name that leaves no key
// at all. All such are named, the first few in full.
func AssignKeys(tenants []Tenant, by KeyBy, chosen func(Tenant) bool) error {
	owner := make(map[string]int, len(tenants))
	var problems []string
	for i := range tenants {
		t := &tenants[i]
		text := t.Name
		if by == KeyByID {
			text = t.ID
		}
		t.Key = Slug(text)
		if t.Key == "" {
			if chosen(*t) {
				problems = append(problems, fmt.Sprintf("%q (%s) leaves an empty key", t.Name, t.ID))
			}
			continue
		}
		if j, taken := owner[t.Key]; taken {
			if chosen(*t) || chosen(tenants[j]) {
				problems = append(problems, fmt.Sprintf("%q (%s) and %q (%s) have the same key %s", tenants[j].Name, tenants[j].ID, t.Name, t.ID, t.Key))
			}
			continue
		}
		owner[t.Key] = i
	}
	if len(problems) == 0 {
		return nil
	}
	const shown = 5
	more := ""
	if len(problems) > shown {
		more = fmt.Sprintf("; and %d more", len(problems)-shown)
		problems = problems[:shown]
	}
	err := fmt.Errorf("tenants cannot be told apart by their %ss: %s%s", by, strings.Join(problems, "; "), more)
	if by == KeyByName {
		return WithRemedy(err, "set tenant-key: id (keys are then made from the ids, which are unique), or rename the tenants")
	}
	return WithRemedy(err, "the source gives ids that differ only in letter case or punctuation; rename them there")
}

// Slug makes a key: ASCII letters in lower case, ASCII digits kept, every run of other characters one hyphen, none at the
// ends. Other scripts' letters do not count, because a key becomes a secret's name, a branch and an S3 folder.
func Slug(text string) string {
	var b strings.Builder
	gap := false
	for _, c := range text {
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c >= 'a' && c <= 'z' || c >= '0' && c <= '9' {
			if gap && b.Len() > 0 {
				b.WriteByte('-')
			}
			gap = false
			b.WriteRune(c)
		} else {
			gap = true
		}
	}
	return b.String()
}
