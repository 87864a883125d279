package fleet

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/org/neon-tenants-action/internal/words"
)

// Resolve decides which tenants the value of an input means. That depends on what tenants there are, because a name may
// hold any character:
//
//   - A JSON array of texts, such as another run's failed-tenants, means the tenants of these names or ids.
//   - Otherwise each line is an entry. One that is exactly a tenant's name or id means that tenant, and with a leading
//     ! excludes it. Blank lines, and lines that begin with #, are left out.
//   - Any other entry is split at its commas into globs on the name or id, which a leading ! makes exclude. A part that
//     is exactly a tenant's name or id is taken as such.
//   - A glob is case-sensitive: * is any run of characters, ? any one, [abc], [a-z] and [!a] are sets, and \ takes a
//     character's meaning away, that of a comma or a leading ! too.
//   - The entry * is always every tenant, even if one has that name.
//
// A value that begins with an exclusion starts from every tenant. An error names the entry, the rule and the remedy.
func Resolve(text string, tenants []Tenant) (Selection, error) {
	r := resolver{tenants: tenants, known: namesOf(tenants)}
	for _, t := range tenants {
		r.commas = max(r.commas, strings.Count(t.Name, ","), strings.Count(t.ID, ","))
	}
	if names, ok := jsonNames(text); ok && !r.isKnown(strings.TrimSpace(text)) {
		for _, name := range names {
			r.addName(name, name, false)
		}
		return r.indexed(), nil
	}
	for line := range strings.Lines(text) {
		if err := r.addEntry(strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r")); err != nil {
			return Selection{}, err
		}
	}
	if len(r.rules) == 0 {
		return Selection{}, errors.New(
			`names no tenant; write names, ids or globs such as acme-*, or "*" for every tenant`)
	}
	if r.rules[0].exclude {
		r.rules = slices.Insert(r.rules, 0, rule{entry: "*", everyone: true})
	}
	return r.indexed(), nil
}

// jsonNames reads a JSON array of texts.
func jsonNames(text string) (names []string, ok bool) {
	if !strings.HasPrefix(strings.TrimSpace(text), "[") {
		return nil, false
	}
	err := json.Unmarshal([]byte(text), &names)
	return names, err == nil
}

// resolver collects the rules of one value.
type resolver struct {
	Selection
	tenants []Tenant
	known   map[string]known // by names and ids
	commas  int              // most commas in one of them
}

func (r *resolver) isKnown(text string) bool {
	_, ok := r.known[text]
	return ok
}

// exact returns the name or id that a text is, and whether it is one. Blanks at its ends count only if a name has them.
func (r *resolver) exact(text string) (name string, ok bool) {
	for _, name := range []string{text, strings.TrimSpace(text)} {
		if name != "" && name != "*" && r.isKnown(name) {
			return name, true
		}
	}
	return "", false
}

// addEntry adds what one line means.
func (r *resolver) addEntry(line string) error {
	if name, ok := r.exact(line); ok {
		r.addName(name, name, false)
		r.doubtGlob(name)
		return nil
	}
	trimmed := strings.TrimSpace(line)
	if trimmed == "" || strings.HasPrefix(trimmed, "#") {
		return nil
	}
	if rest, ok := strings.CutPrefix(strings.TrimLeft(line, " \t"), "!"); ok {
		if name, ok := r.exact(rest); ok {
			r.addName(trimmed, name, true)
			return nil
		}
	}
	parts := splitEntry(line)
	if err := r.refuseSplitName(trimmed, parts); err != nil {
		return err
	}
	for _, part := range parts {
		if part = trimPart(part); part == "" {
			continue
		}
		if err := r.addPart(part); err != nil {
			return err
		}
	}
	return nil
}

// addPart adds one of the parts between an entry's commas.
func (r *resolver) addPart(part string) error {
	glob, exclude := strings.CutPrefix(part, "!")
	if exclude {
		glob = strings.TrimSpace(glob)
	}
	if glob == "" {
		return fmt.Errorf("the pattern %q is empty; write a tenant's name, its id, or a glob such as acme-*", part)
	}
	if name, ok := r.exact(glob); ok || !strings.ContainsAny(glob, `*?[\`) {
		if !ok {
			name = glob
		}
		r.addName(part, name, exclude)
		return nil
	}
	if glob == "*" {
		r.rules = append(r.rules, rule{entry: part, exclude: exclude, everyone: true})
		return nil
	}
	match, err := compileGlob(glob)
	if err != nil {
		return fmt.Errorf("the pattern %q %w", part, err)
	}
	r.rules = append(r.rules, rule{entry: part, exclude: exclude, match: match})
	return nil
}

// addName adds a rule for one name or id. The name of one tenant can be the id of another.
func (r *resolver) addName(entry, name string, exclude bool) {
	r.rules = append(r.rules, rule{entry: entry, exclude: exclude, name: name})
	if is := r.known[name]; !exclude && is.name && is.id {
		r.Doubts = append(r.Doubts,
			fmt.Sprintf("%q is the name of one tenant and the id of another, and selects both", name))
	}
}

// doubtGlob tells of an entry that is a tenant's name and that would mean other tenants if it were not.
func (r *resolver) doubtGlob(name string) {
	glob, exclude := strings.CutPrefix(name, "!")
	if !exclude && !strings.ContainsAny(glob, `*?[\`) {
		return
	}
	var match *regexp.Regexp
	if strings.ContainsAny(glob, `*?[\`) {
		var err error
		if match, err = compileGlob(glob); err != nil {
			return
		}
	}
	asGlob := rule{name: glob, match: match}
	others := 0
	for _, t := range r.tenants {
		if t.Name != name && t.ID != name && asGlob.matches(t) {
			others++
		}
	}
	switch {
	case others == 0:
	case exclude:
		r.Doubts = append(r.Doubts, fmt.Sprintf(`%q is the name of a tenant, and so selects that one; `+
			`to exclude the %s that it would match as a pattern, write a \ after the !`, name,
			words.Count(others, "tenant", "tenants")))
	default:
		r.Doubts = append(r.Doubts, fmt.Sprintf(`%q is the name of a tenant, and so selects that one alone; `+
			`to select the %s that it would match as a pattern too, write a \ before one of its letters`, name,
			words.Count(others, "other tenant", "other tenants")))
	}
}

// refuseSplitName refuses an entry among whose parts is a name that holds commas itself, or that begins with a !: taken
// apart, it would mean somebody else.
func (r *resolver) refuseSplitName(entry string, parts []string) error {
	for i := range parts {
		for j := i + 1; j <= min(len(parts), i+1+r.commas); j++ {
			text := strings.TrimSpace(strings.Join(parts[i:j], ","))
			name, ok := r.exact(text)
			if rest, exclude := strings.CutPrefix(text, "!"); !ok && exclude {
				name, ok = r.exact(rest)
			}
			if ok && (j > i+1 || strings.HasPrefix(name, "!")) {
				return fmt.Errorf("the entry %q holds the name of the tenant %q; write one entry a line",
					entry, name)
			}
		}
	}
	return nil
}

// splitEntry splits an entry at its commas, except those after a backslash.
func splitEntry(entry string) []string {
	var parts []string
	begin := 0
	for i := 0; i < len(entry); i++ {
		switch entry[i] {
		case '\\':
			i++
		case ',':
			parts = append(parts, entry[begin:i])
			begin = i + 1
		}
	}
	return append(parts, entry[begin:])
}

// trimPart removes the blanks at a part's ends, except one after a backslash.
func trimPart(part string) string {
	trimmed := strings.TrimSpace(part)
	backslashes := len(trimmed) - len(strings.TrimRight(trimmed, `\`))
	if left := strings.TrimLeft(part, " \t"); backslashes%2 == 1 && len(left) > len(trimmed) {
		return left[:len(trimmed)+1]
	}
	return trimmed
}
