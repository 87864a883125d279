package fleet

import (
	"fmt"
	"strings"

	"github.com/org/neon-tenants-action/internal/words"
)

// KeyBy says what a tenant's key is made from.
type KeyBy string

// What a key can be made from.
const (
	KeyByName KeyBy = "name"
	KeyByID   KeyBy = "id"
)

// AssignKeys sets every tenant's key. It refuses keys that would make a chosen tenant share a secret, a folder or a
// branch with another one, chosen or not, because a run over other tenants uses the same folders: the same key twice,
// or a name that gives no key. unread holds the ids of tenants of which nothing else is known; their keys are known too
// if keys are made from ids. The error lists the first few problems, and has a remedy.
func AssignKeys(tenants []Tenant, unread []string, by KeyBy, chosen func(Tenant) bool) error {
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
				problems = append(problems, fmt.Sprintf("%q (%s) has an empty key", t.Name, t.ID))
			}
			continue
		}
		if j, taken := owner[t.Key]; taken {
			if other := tenants[j]; chosen(*t) || chosen(other) {
				problems = append(problems, fmt.Sprintf("%q (%s) and %q (%s) have the same key %s",
					other.Name, other.ID, t.Name, t.ID, t.Key))
			}
			continue
		}
		owner[t.Key] = i
	}
	if by == KeyByID {
		problems = append(problems, sharedWithUnread(tenants, owner, unread, chosen)...)
	}
	if len(problems) == 0 {
		return nil
	}
	const shown = 5
	err := fmt.Errorf("tenants cannot be told apart by their %ss: %s", by, words.Clauses(problems, shown))
	if by == KeyByName {
		return WithRemedy(err,
			"set tenant-key: id (keys are then made from the ids, which are unique), or rename the tenants")
	}
	return WithRemedy(err, "these ids differ only in letter case or punctuation; rename them at the source")
}

// sharedWithUnread describes the chosen tenants whose key, made from the id, is that of a tenant which could not be
// read.
func sharedWithUnread(tenants []Tenant, owner map[string]int, unread []string, chosen func(Tenant) bool) []string {
	var problems []string
	for _, id := range unread {
		if i, taken := owner[Slug(id)]; taken && chosen(tenants[i]) {
			problems = append(problems, fmt.Sprintf("%q (%s) and %s, which could not be read, have the same key %s",
				tenants[i].Name, tenants[i].ID, id, tenants[i].Key))
		}
	}
	return problems
}

// Slug makes a key: ASCII letters in lower case and ASCII digits are kept, every run of other characters becomes one
// hyphen, and there is none at either end. Letters of other scripts are dropped too, because a key becomes the name of
// a secret, a branch and an S3 folder.
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
