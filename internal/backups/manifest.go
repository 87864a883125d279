package backups

import (
	"time"

	"github.com/org/neon-tenants-action/internal/fleet"
)

// manifestVersion is the format of the manifests that are written.
const manifestVersion = 1

// Manifest is what lies beside a backup and is written last: a backup that has none was never whole.
type Manifest struct {
	Version       int          `json:"version"` // 1, set by [Store.Commit]
	Key           string       `json:"key"`
	Tenant        fleet.Tenant `json:"tenant"`
	StartedAt     time.Time    `json:"started_at"`
	FinishedAt    time.Time    `json:"finished_at"`
	ServerVersion string       `json:"server_version"`
	ClientVersion string       `json:"client_version"`
	SchemaVersion string       `json:"schema_version,omitempty"` // the highest migration that was applied
	Format        string       `json:"format"`
	Compression   string       `json:"compression"`
	Encrypted     bool         `json:"encrypted"`
	StoredSize    int64        `json:"stored_size"` // bytes
	StoredSHA256  string       `json:"stored_sha256"`
	PlainSize     int64        `json:"plain_size"` // bytes of what pg_dump wrote
	PlainSHA256   string       `json:"plain_sha256"`
	Verified      Verification `json:"verified"`
}

// Verification says how it is known that a backup is whole.
type Verification struct {
	// How is stream (pg_dump's status and end marker, the stored size and checksum) or restore (loaded into a database
	// besides).
	How    string    `json:"how"`
	At     time.Time `json:"at"`
	Stored string    `json:"stored_checksum"`  // what the store's own word was compared by
	Tables int       `json:"tables,omitempty"` // restored
	Rows   int64     `json:"rows,omitempty"`
}

// Of reports whether the backup is of the tenant with that id. Names come and go, and with them whose folder it is; an id
// stays with one tenant.
func (m Manifest) Of(tenantID string) bool { return m.Tenant.ID == tenantID }
