// Package secrets decides how GitHub's secrets hold connection strings: under which names, in which bundles, what a
// sync remembers so that the next one writes only what changed, and how a workflow file refers to them. It is pure: it
// makes no call and reads no file.
package secrets

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/words"
)

// placeholder is a template's place for the tenant's key.
const placeholder = "{TENANT}"

// bundlePrefix, followed by a number from 1, is the name of a bundle: a secret that holds many tenants.
const bundlePrefix = "NEON_TENANTS_BUNDLE_"

// StateVariable is the Actions variable in which a sync remembers what it wrote.
const StateVariable = "NEON_TENANTS_STATE"

var (
	templateForm = regexp.MustCompile(`^[A-Za-z0-9_]*\{TENANT\}[A-Za-z0-9_]*$`)
	bundleForm   = regexp.MustCompile(`^` + bundlePrefix + `([1-9][0-9]{0,5})$`)
	secretForm   = regexp.MustCompile(`^[A-Z_][A-Z0-9_]*$`)
)

// maxName is the longest name of a secret, in bytes. GitHub documents no limit; its database is known to hold 255.
const maxName = 255

// Template makes the names of tenants' secrets: {TENANT} is the tenant's key in upper snake case. The rest is in upper
// case too, because GitHub stores names that way.
type Template struct{ before, after string }

// ParseTemplate reads a template such as {TENANT}_DATABASE_URL. Its error says what to write instead.
func ParseTemplate(text string) (Template, error) {
	if !templateForm.MatchString(text) {
		return Template{}, fmt.Errorf("%q is not a template for secret names: besides {TENANT}, which it must hold "+
			"once, it takes only letters, digits and _; write for example {TENANT}_DATABASE_URL", text)
	}
	before, after, _ := strings.Cut(strings.ToUpper(text), placeholder)
	t := Template{before, after}
	switch {
	case before != "" && before[0] >= '0' && before[0] <= '9':
		return Template{}, fmt.Errorf("%q begins with a digit, which GitHub does not allow; "+
			"write for example TENANT_{TENANT}", text)
	case strings.HasPrefix(before, "GITHUB_"):
		return Template{}, fmt.Errorf("%q begins with GITHUB_, which GitHub reserves; write another name", text)
	case strings.HasPrefix(before, bundlePrefix):
		return Template{}, fmt.Errorf("%q begins like the name of a bundle (%sN); write another name", text,
			bundlePrefix)
	}
	return t, nil
}

// String writes the template as [ParseTemplate] reads it.
func (t Template) String() string { return t.before + placeholder + t.after }

// Name returns the name of the secret for the tenant with this key. One that GitHub or a bundle forbids gets a leading
// underscore. The error says which rule the name breaks.
func (t Template) Name(key string) (string, error) {
	name := t.before + strings.ToUpper(strings.ReplaceAll(key, "-", "_")) + t.after
	if forbidden(name) {
		name = "_" + name
	}
	switch {
	case !secretForm.MatchString(name):
		return "", fmt.Errorf("%q is not a valid secret name: it takes letters, digits and _ only", name)
	case len(name) > maxName:
		return "", fleet.WithRemedy(
			fmt.Errorf("the secret name %s… would have %d characters, and the limit is %d", name[:40], len(name),
				maxName),
			"set tenant-key: id, or rename the tenant")
	}
	return name, nil
}

// forbidden reports whether no tenant's secret can have that name: it begins with a digit or with GITHUB_, which GitHub
// refuses, or it is that of a bundle.
func forbidden(name string) bool {
	return name != "" && name[0] >= '0' && name[0] <= '9' || strings.HasPrefix(name, "GITHUB_") ||
		bundleForm.MatchString(name)
}

// Match reports whether a name could be that of a tenant's secret, and returns the key that the tenant would have.
func (t Template) Match(name string) (key string, ok bool) {
	name = strings.ToUpper(name)
	if forbidden(name) {
		return "", false
	}
	if plain, escaped := strings.CutPrefix(name, "_"); escaped && forbidden(plain) {
		if key, ok = t.match(plain); ok {
			return key, true
		}
	}
	return t.match(name)
}

// match is [Template.Match] for a name without the underscore that [Template.Name] may have added.
func (t Template) match(name string) (key string, ok bool) {
	if len(name) <= len(t.before)+len(t.after) || !strings.HasPrefix(name, t.before) ||
		!strings.HasSuffix(name, t.after) {
		return "", false
	}
	key = fleet.Slug(name[len(t.before) : len(name)-len(t.after)])
	return key, key != ""
}

// BundleName returns the name of the nth bundle, counted from 1.
func BundleName(n int) string { return fmt.Sprintf("%s%d", bundlePrefix, n) }

// IsBundle reports whether a name is that of a bundle, and returns the bundle's number.
func IsBundle(name string) (n int, ok bool) {
	m := bundleForm.FindStringSubmatch(strings.ToUpper(name))
	if m == nil {
		return 0, false
	}
	for _, digit := range m[1] {
		n = n*10 + int(digit-'0')
	}
	return n, true
}

// Names returns the secret name of each key, and why a key has none: one tenant's name stops no other. The error covers
// all names that two keys share: it lists the first few, and has a remedy.
func (t Template) Names(keys []string) (names map[string]string, nameless map[string]error, err error) {
	names, nameless = make(map[string]string, len(keys)), map[string]error{}
	owner := make(map[string]string, len(keys))
	var problems []string
	for _, key := range keys {
		name, err := t.Name(key)
		if err != nil {
			nameless[key] = err
			continue
		}
		if other, taken := owner[name]; taken && other != key {
			problems = append(problems, fmt.Sprintf("the tenants %s and %s would share the secret %s", other, key,
				name))
			continue
		}
		names[key], owner[name] = name, key
	}
	if len(problems) == 0 {
		return names, nameless, nil
	}
	const shown = 5
	return nil, nil, fleet.WithRemedy(errors.New(words.Clauses(problems, shown)),
		"set tenant-key: id, or rename the tenants")
}
