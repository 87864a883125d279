package fleet

import (
	"regexp"
	"time"
)

const restoredStamp = "20060102-150405"

// RestoredName names the copy of a tenant that a restore makes beside it, from a backup of the given time. With the
// time of the restore, the name is new even if the same backup is restored again. A source that lists copies with its
// tenants leaves them out by [IsRestored].
func RestoredName(tenant string, backup, now time.Time) string {
	return tenant + " restored " + backup.UTC().Format(restoredStamp) + "-at-" + now.UTC().Format(restoredStamp)
}

var restoredName = regexp.MustCompile(` restored \d{8}-\d{6}-at-\d{8}-\d{6}$`)

// IsRestored reports whether a name is one that [RestoredName] returned. Whoever makes the copy a tenant renames it.
func IsRestored(name string) bool { return restoredName.MatchString(name) }
