package backups

import (
	"time"

	"github.com/org/neon-tenants-action/internal/fleet"
)

// manifestVersion is the version of the manifest's format.
const manifestVersion = 1

// Manifest describes a backup. It is stored beside it and written last, so a backup without one is incomplete.
type Manifest struct {
	Version       int          `json:"version"` // 1; [Store.Commit] sets it
	Key           string       `json:"key"`
	Tenant        fleet.Tenant `json:"tenant"`
	StartedAt     time.Time    `json:"started_at"`
	FinishedAt    time.Time    `json:"finished_at"`
	ServerVersion string       `json:"server_version"`
	ClientVersion string       `json:"client_version"`           // of pg_dump
	SchemaVersion string       `json:"schema_version,omitempty"` // the highest applied migration
	Format        string       `json:"format"`
	Compression   string       `json:"compression"`
	Encrypted     bool         `json:"encrypted"`
	StoredSize    int64        `json:"stored_size"` // bytes
	StoredSHA256  string       `json:"stored_sha256"`
	PlainSize     int64        `json:"plain_size"` // bytes that pg_dump wrote
	PlainSHA256   string       `json:"plain_sha256"`
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
}

// Of reports whether the backup is of the tenant with that id. The key in a backup's name does not tell: a new tenant
// may get the name, and so the folder, of a former one. An id never changes hands.
func (m Manifest) Of(tenantID string) bool { return m.Tenant.ID == tenantID }
