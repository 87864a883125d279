package backups

import (
	"slices"

	"github.com/org/neon-tenants-action/internal/pgdump"
)

// harmless are pg_dump's options that leave no table, no row and no policy out of a dump. Every other one may, and a
// new version's option is taken for one that does.
var harmless = []string{
	"attribute-inserts", "binary-upgrade", "blobs", "clean", "column-inserts", "disable-dollar-quoting",
	"disable-triggers", "encoding", "extra-float-digits", "if-exists", "include-foreign-data", "inserts", "large-objects",
	"load-via-partition-root", "lock-wait-timeout", "no-acl", "no-comments", "no-owner", "no-privileges",
	"no-publications", "no-security-labels", "no-statistics", "no-subscriptions", "no-sync", "no-table-access-method",
	"no-tablespaces", "no-toast-compression", "on-conflict-do-nothing", "quote-all-identifiers", "role",
	"rows-per-insert", "serializable-deferrable", "statistics", "strict-names", "superuser",
	"use-set-session-authorization", "verbose",
}

// LeftOut returns the arguments of pg_dump that make a dump partial; none if it is whole.
func LeftOut(args []string) (left []string) {
	last := -1
	for _, o := range pgdump.Options(args) {
		harms := func(name string) bool { return !slices.Contains(harmless, name) }
		if o.At != last && (len(o.Names) == 0 || slices.ContainsFunc(o.Names, harms)) {
			left, last = append(left, o.Words...), o.At
		}
	}
	return left
}
