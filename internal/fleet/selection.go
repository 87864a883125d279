package fleet

import (
	"fmt"
	"regexp"
	"strings"
)

// Selection is a compiled list of globs over tenants' names and ids, with the rules of a workflow's paths filter: an
// entry that begins with ! excludes, and the last entry that matches decides.
type Selection struct {
	rules []rule
}

type rule struct {
	pattern string
	exclude bool
	match   *regexp.Regexp // nil: the pattern is a literal name or id
}

// matches reports whether the rule applies to the tenant. Literals are compared without a regular expression, because
// there can be a thousand of them: another run's failed-tenants, for example.
func (r rule) matches(t Tenant) bool {
	if r.match == nil {
		text := strings.TrimPrefix(r.pattern, "!")
		return t.Name == text || t.ID == text
	}
	return r.match.MatchString(t.Name) || r.match.MatchString(t.ID)
}

// ParseSelection compiles globs, which are case-sensitive: * is any run of characters, ? any one, [abc], [a-z] and [!a]
// are sets, and \ takes the next character literally. A list that begins with an exclusion starts from every tenant.
// The error names the pattern and says what to write instead.
func ParseSelection(patterns []string) (Selection, error) {
	var s Selection
	for _, p := range patterns {
		glob, exclude := strings.CutPrefix(p, "!")
		if glob == "" {
			return Selection{}, fmt.Errorf("the pattern %q is empty; "+
				"write a tenant's name, its id, or a glob such as acme-*", p)
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

// Everything reports whether the selection takes every tenant by its rules, not merely every tenant that exists today.
func (s Selection) Everything() bool {
	return len(s.rules) == 0 || len(s.rules) == 1 && s.rules[0].pattern == "*"
}

// compileGlob turns a glob into an anchored regular expression. Its error continues "the pattern …".
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
				return nil, fmt.Errorf(`ends in a single \; write \\ for a literal backslash`)
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

// compileSet reads the bracketed set that begins at runes[i]; end is the index of its closing bracket.
func compileSet(runes []rune, i int) (set string, end int, err error) {
	j := i + 1
	negate := j < len(runes) && (runes[j] == '!' || runes[j] == '^')
	if negate {
		j++
	}
	var body strings.Builder
	for first := true; ; first = false {
		if j >= len(runes) {
			return "", 0, fmt.Errorf(`has a [ without a ]; write \[ for a literal bracket`)
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
			return "", 0, fmt.Errorf("has the reversed range %c-%c", low, high)
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

// Select returns the tenants that match, in their order, and the inclusive patterns that matched no tenant, which are
// most likely misspelt names.
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
