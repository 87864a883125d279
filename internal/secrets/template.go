// Package secrets decides how connection strings lie in GitHub's secrets: under which names, packed into which bundles,
// what is remembered of them so that an unchanged one is not written again, and how a workflow file refers to them. It is
// pure: it calls nothing and reads nothing.
package secrets

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/org/neon-tenants-action/internal/fleet"
)

// placeholder stands in a template for a tenant.
const placeholder = "{TENANT}"

// MaxValue is how large a secret's or a variable's value may be, in bytes: GitHub's 48 KB.
const MaxValue = 48 << 10

// bundlePrefix and a number from 1 name a bundle: a secret that holds many tenants.
const bundlePrefix = "NEON_TENANTS_BUNDLE_"

// StateVariable is the Actions variable in which a sync remembers what it wrote.
const StateVariable = "NEON_TENANTS_STATE"

var (
	templateForm = regexp.MustCompile(`^[A-Za-z0-9_]*\{TENANT\}[A-Za-z0-9_]*$`)
	bundleForm   = regexp.MustCompile(`^` + bundlePrefix + `([1-9][0-9]{0,5})$`)
	secretForm   = regexp.MustCompile(`^[A-Z_][A-Z0-9_]*$`)
)

// maxName bounds a name's length. GitHub documents no limit; the column that its API is known to keep names in takes 255.
const maxName = 255

// Template names a tenant's secret: {TENANT} is the tenant's key in upper snake case, the rest stands as it is. GitHub
// stores names in upper case, so the rest is in upper case too.
type Template struct{ before, after string }

// ParseTemplate reads a template such as {TENANT}_DATABASE_URL.
func ParseTemplate(text string) (Template, error) {
	if !templateForm.MatchString(text) {
		return Template{}, fmt.Errorf("%q is not a template of a secret's name: it holds {TENANT} once, and beside it letters, digits and _ only; "+
			"write for example {TENANT}_DATABASE_URL", text)
	}
	before, after, _ := strings.Cut(strings.ToUpper(text), placeholder)
	t := Template{before, after}
	switch {
	case before != "" && before[0] >= '0' && before[0] <= '9':
		return Template{}, fmt.Errorf("%q begins with a digit, which a secret's name may not; write for example TENANT_{TENANT}", text)
	case strings.HasPrefix(before, "GITHUB_"):
		return Template{}, fmt.Errorf("%q begins with GITHUB_, which GitHub keeps for itself; write another name", text)
	case strings.HasPrefix(before, bundlePrefix):
		return Template{}, fmt.Errorf("%q begins as the names of bundles do (%sN); write another name", text, bundlePrefix)
	}
	return t, nil
}

func (t Template) String() string { return t.before + placeholder + t.after }

// Name returns the name of the secret of the tenant with this key. The error says which of GitHub's rules it breaks.
func (t Template) Name(key string) (string, error) {
	name := t.before + strings.ToUpper(strings.ReplaceAll(key, "-", "_")) + t.after
	switch {
	case !secretForm.MatchString(name) && name[0] >= '0' && name[0] <= '9':
		return "", fleet.WithRemedy(fmt.Errorf("the secret's name %s would begin with a digit, which GitHub does not take", name),
			"give secret-name a beginning of its own, such as TENANT_{TENANT}_DATABASE_URL")
	case !secretForm.MatchString(name):
		return "", fmt.Errorf("%q is not a name that a secret can have: letters, digits and _ only", name)
	case strings.HasPrefix(name, "GITHUB_"):
		return "", fleet.WithRemedy(fmt.Errorf("the secret's name %s would begin with GITHUB_, which GitHub keeps for itself", name),
			"give secret-name a beginning of its own, such as TENANT_{TENANT}_DATABASE_URL")
	case bundleForm.MatchString(name):
		return "", fleet.WithRemedy(fmt.Errorf("the secret's name %s would be that of a bundle", name), "set secret-name to another template")
	case len(name) > maxName:
		return "", fleet.WithRemedy(fmt.Errorf("the secret's name %s… would have %d characters, more than %d", name[:40], len(name), maxName),
			"set tenant-key: id, or rename the tenant")
	}
	return name, nil
}

// Match reports whether a name could be that of a tenant's secret, and returns the key that the tenant would have.
func (t Template) Match(name string) (key string, ok bool) {
	name = strings.ToUpper(name)
	if bundleForm.MatchString(name) || len(name) <= len(t.before)+len(t.after) || !strings.HasPrefix(name, t.before) || !strings.HasSuffix(name, t.after) {
		return "", false
	}
	key = fleet.Slug(name[len(t.before) : len(name)-len(t.after)])
	return key, key != ""
}

// BundleName returns the name of the nth bundle, counted from 1.
func BundleName(n int) string { return fmt.Sprintf("%s%d", bundlePrefix, n) }

// IsBundle reports whether a name is that of a bundle, and of which.
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

// Names returns each key's secret name. Every key that breaks a rule, and every name that two keys share, is in the one
// error, the first few in full.
func (t Template) Names(keys []string) (map[string]string, error) {
	names, owner := make(map[string]string, len(keys)), make(map[string]string, len(keys))
	var problems []string
	remedy := ""
	for _, key := range keys {
		name, err := t.Name(key)
		if err != nil {
			problems = append(problems, err.Error())
			if remedy == "" {
				remedy = fleet.Remedy(err)
			}
			continue
		}
		if other, taken := owner[name]; taken && other != key {
			problems = append(problems, fmt.Sprintf("the tenants %s and %s would share the secret %s", other, key, name))
			continue
		}
		names[key], owner[name] = name, key
	}
	if len(problems) == 0 {
		return names, nil
	}
	const shown = 5
	more := ""
	if len(problems) > shown {
		more = fmt.Sprintf("; and %d more", len(problems)-shown)
		problems = problems[:shown]
	}
	if remedy == "" {
		remedy = "set tenant-key: id, or rename the tenants"
	}
	return nil, fleet.WithRemedy(fmt.Errorf("%s%s", strings.Join(problems, "; "), more), remedy)
}
