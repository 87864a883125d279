package records

import (
	"maps"
	"slices"
)

// Edited lists the versions, in their order, whose files are no longer what was applied. A version without a file, or
// of which nothing is recorded, is none of them.
func Edited(applied, files Set) []string {
	var edited []string
	for _, version := range slices.Sorted(maps.Keys(applied)) {
		if now, exists := files[version]; exists && now != applied[version] {
			edited = append(edited, version)
		}
	}
	return edited
}
