package backups

import (
	"slices"
	"time"

	"github.com/org/neon-tenants-action/internal/fleet"
)

// The versions of the manifest's format. Version 1 says neither where the data came from nor with which arguments it
// was dumped.
const (
	firstManifest   = 1
	manifestVersion = 2
)

// Manifest describes a backup. It is stored beside it and written last, so a backup without one is incomplete.
type Manifest struct {
	Version       int          `json:"version"` // [Store.Commit] sets it
	Key           string       `json:"key"`
	Tenant        fleet.Tenant `json:"tenant"`
	Origin        Origin       `json:"origin"` // zero in version 1
	StartedAt     time.Time    `json:"started_at"`
	FinishedAt    time.Time    `json:"finished_at"`
	ServerVersion string       `json:"server_version"`
	ClientVersion string       `json:"client_version"`           // of pg_dump
	Args          []string     `json:"pg_dump_args,omitempty"`   // the user's own
	Whole         bool         `json:"whole"`                    // nothing was left out; not recorded in version 1
	SchemaVersion string       `json:"schema_version,omitempty"` // the highest applied migration
	Format        string       `json:"format"`
	Compression   string       `json:"compression"`
	Encrypted     bool         `json:"encrypted"`
	Recipients    []string     `json:"age_recipients,omitempty"` // the public keys; not recorded by earlier versions
	StoredSize    int64        `json:"stored_size"`              // bytes
	StoredSHA256  string       `json:"stored_sha256"`
	PlainSize     int64        `json:"plain_size"` // bytes that pg_dump wrote
	PlainSHA256   string       `json:"plain_sha256"`
	Quiet         *Quiet       `json:"quiet,omitempty"`    // nil: not looked for, or not so
	Contents      *Contents    `json:"contents,omitempty"` // nil: earlier versions did not record them
	Verified      Verification `json:"verified"`
}

// Verification says how a backup was verified.
type Verification struct {
	// How is stream (pg_dump's status and end marker, and the size and checksum in the store) or restore (the same, and
	// the backup was loaded into a database).
	How    string    `json:"how"`
	At     time.Time `json:"at"`
	Stored string    `json:"stored_checksum"`  // which checksum the store confirmed, see [bucket.Stored]
	Tables int       `json:"tables,omitempty"` // restored
	Rows   int64     `json:"rows,omitempty"`   // restored
	// Compared is by what the restored rows were compared.
	Compared string `json:"compared,omitempty"`
	// Problem is why the backup could not be restored for verification, although that was wanted.
	Problem string `json:"problem,omitempty"`
}

// Contents is what a dump holds, for whoever restores it to compare with, and what it needs of the database it is
// loaded into.
type Contents struct {
	// Tables and Rows were counted while the dump passed by. Nil if they were not.
	Tables *int   `json:"tables,omitempty"`
	Rows   *int64 `json:"rows,omitempty"`
	// Fingerprint is that of the tenant's schema, which was the same before the dump and after it. Empty if it was not,
	// or could not be taken. It is over what a dump carries to another server, so it is not the one of a health check,
	// and equals that of the restored database, wherever it is. Only fingerprints of one version can be compared.
	Fingerprint        string `json:"schema_fingerprint,omitempty"`
	FingerprintVersion int    `json:"schema_fingerprint_version,omitempty"`
	Encoding           string `json:"encoding,omitempty"` // the database's
	// Extensions are those of the database, in the order in which they were created, if the dump may refer to one
	// without creating it.
	Extensions []Extension `json:"extensions,omitempty"`
}

// Extension is an extension of a tenant's database.
type Extension struct {
	Name   string `json:"name"`
	Schema string `json:"schema"`
}

// Of reports whether the backup is of the tenant with that id. The key in a backup's name does not tell: a new tenant
// may get the name, and so the folder, of a former one. An id never changes hands.
func (m Manifest) Of(tenantID string) bool { return m.Tenant.ID == tenantID }

// whole reports whether nothing was left out of the dump. Version 1 does not say, and is taken to be whole.
func (m Manifest) whole() bool { return m.Whole || m.Version == firstManifest }

// like reports whether the dump was made with the same arguments.
func (m Manifest) like(args []string) bool { return slices.Equal(m.Args, args) }
