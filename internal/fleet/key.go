package fleet

import (
	"cmp"
	"fmt"

	"github.com/org/neon-tenants-action/internal/words"
)

// KeyBy says what a tenant's key is made from.
type KeyBy string

// What a key can be made from.
const (
	KeyByName KeyBy = "name"
	KeyByID   KeyBy = "id"
)

// KeyBy is the key that the tenant gets; empty if it has no id yet and its name gives none.
func (t Tenant) KeyBy(by KeyBy) string {
	if by == KeyByName {
		return cmp.Or(Slug(t.Name), IDKey(t.ID))
	}
	return IDKey(t.ID)
}

// AssignKeys sets every tenant's key. It refuses keys that would make a chosen tenant share a secret, a folder or a
// branch with another one, chosen or not, because a run over other tenants uses the same folders. A tenant that has no
// id yet and whose name gives no key gets none. unread holds the ids of tenants of which nothing else is known; their
// keys are known too if keys are made from ids. The error lists the first few problems, and has a remedy.
func AssignKeys(tenants []Tenant, unread []string, by KeyBy, chosen func(Tenant) bool) error {
	owner := make(map[string]int, len(tenants))
	var problems []string
	for i := range tenants {
		t := &tenants[i]
		if t.Key = t.KeyBy(by); t.Key == "" {
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
	return WithRemedy(err, "the ids must be unique: list each of them once at the source")
}

// sharedWithUnread describes the chosen tenants whose key, made from the id, is that of a tenant which could not be
// read.
func sharedWithUnread(tenants []Tenant, owner map[string]int, unread []string, chosen func(Tenant) bool) []string {
	var problems []string
	for _, id := range unread {
		if i, taken := owner[IDKey(id)]; taken && chosen(tenants[i]) {
			problems = append(problems, fmt.Sprintf("%q (%s) and %s, which could not be read, have the same key %s",
				tenants[i].Name, tenants[i].ID, id, tenants[i].Key))
		}
	}
	return problems
}
