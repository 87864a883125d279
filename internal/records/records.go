// Package records is what runs find out about tenants and later runs rely on: at which migration files a tenant's
// database is current, with which contents these were applied, and when that was seen. It decides what follows from
// that; report files and the catalog keep the records, and modes make and use them.
package records

import (
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"slices"
	"strings"
	"time"
)

// Record is what a run found out about one tenant. A later record replaces it as a whole.
type Record struct {
	// Place is the database that the record is about: see [PlaceOf].
	Place string `json:"place"`
	// CurrentAt is a time, by the clock of the tenant's server, at which nothing was left to do for the files of Files.
	// Zero: the run failed, or something has changed the database since, so that nothing is known of its present.
	CurrentAt time.Time `json:"current_at,omitzero"`
	// Files is the [Set.Digest] of the run's migration files.
	Files string `json:"files_sha256,omitempty"`
	// Applied is the digest of the files as they were when they were applied, as far as runs have recorded that. It is
	// that of Files unless a file was changed later.
	Applied string `json:"applied_sha256,omitempty"`
	// Version is the highest version that the database recorded at CurrentAt, empty if there was none.
	Version string `json:"version,omitempty"`
	// Schema is what the schema was like at CurrentAt; nil unless the run looked at it.
	Schema *Schema `json:"schema,omitempty"`
}

// Schema is what a health check found in a tenant in which nothing was wrong.
type Schema struct {
	// Checks is a digest of what was looked for: the inputs of the health check.
	Checks             string   `json:"checks_sha256"`
	Fingerprint        string   `json:"fingerprint"`
	FingerprintVersion int      `json:"fingerprint_version"`
	Objects            int      `json:"objects"`
	Extensions         []string `json:"extensions,omitempty"`
	PostgresMajor      int      `json:"postgres_major"`
	// Server and Database are where the tenant was connected to, for what is known by these, such as its backups.
	Server   string `json:"server,omitempty"`
	Database string `json:"database,omitempty"`
}

// Known reports whether the record says anything about the tenant's present.
func (r Record) Known() bool { return !r.CurrentAt.IsZero() }

// Set is a folder of migration files: a digest of each one's contents, by its version.
type Set map[string]string

// Digest identifies a set: the SHA-256, in hexadecimal, of its versions and digests.
func (s Set) Digest() string {
	var text strings.Builder
	for _, version := range slices.Sorted(maps.Keys(s)) {
		text.WriteString(version + " " + s[version] + "\n")
	}
	return digest(text.String())
}

func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// Sets are sets by their digests, so that each is kept once for a whole fleet.
type Sets map[string]Set

// Add adds a set and returns its digest.
func (s Sets) Add(set Set) string {
	key := set.Digest()
	s[key] = set
	return key
}
