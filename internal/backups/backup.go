package backups

import (
	"slices"
	"strings"
	"time"

	"github.com/org/neon-tenants-action/internal/bucket"
)

// Backup is a stored backup, as a listing of its folder shows it.
type Backup struct {
	Key  string
	Time time.Time // from the key
	Size int64     // bytes
	// Verified is true if the backup has a manifest, which is written last, once everything has been checked. Only what
	// the manifest says makes it count for anything: see [Store.Judge].
	Verified bool
}

// Find returns the backups among the objects directly in a folder, newest first, and ignores all other objects.
func Find(folder string, objects []bucket.Object) []Backup {
	var backups []Backup
	exists := map[string]bool{}
	for _, o := range objects {
		exists[o.Key] = true
	}
	for _, o := range objects {
		if k, ok := ParseKey(folder, o.Key); ok {
			backups = append(backups, Backup{Key: o.Key, Time: k.Time, Size: o.Size, Verified: exists[k.Manifest()]})
		}
	}
	sortNewestFirst(backups)
	return backups
}

func sortNewestFirst(backups []Backup) {
	slices.SortFunc(backups, func(a, b Backup) int {
		if order := b.Time.Compare(a.Time); order != 0 {
			return order
		}
		return strings.Compare(b.Key, a.Key)
	})
}
