package mode

import (
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"slices"
	"strings"
	"time"
)

// UndoPoint is a branch that holds what a tenant was like before a run of mode migrate changed it, as the run's report
// file describes it. Mode undo reads it there.
type UndoPoint struct {
	BranchID string `json:"branch_id"`
	Name     string `json:"name"`
	// ParentID is the branch that the tenant is, which keeps its id when it is restored.
	ParentID  string    `json:"parent_id"`
	CreatedAt time.Time `json:"created_at"`
	ExpiresAt time.Time `json:"expires_at"`
	// Versions is the [HashVersions] of those that it records.
	Versions string `json:"versions_sha256"`
	// RowsWritten and CountedSince are a [postgres.Written] of the moment before. CountedSince is empty if the server did
	// not tell.
	RowsWritten  int64  `json:"rows_written,omitempty"`
	CountedSince string `json:"counted_since,omitempty"`
	// InDoubt is what the run does not know of its own changes; nil if it knows all of them.
	InDoubt *InDoubt `json:"in_doubt,omitempty"`
}

// InDoubt is what a run does not know of migrations that failed: whether, or how far, they took effect.
type InDoubt struct {
	// Versions are recorded all together, or not at all.
	Versions []string `json:"versions"`
	// OutsideTransaction: it may have taken effect, wholly or in part, without being recorded.
	OutsideTransaction bool `json:"outside_transaction,omitempty"`
}

// UndoName is the name of a run's first undo point of a tenant. Later ones, of other attempts or steps of the run, end
// in -2, -3 and so on.
func UndoName(runID string) string { return "undo/" + runID }

// UndoneName is the name of the branch that keeps what a tenant was like before the run was undone.
func UndoneName(runID string) string { return "undone/" + runID }

// HashVersions is the SHA-256, in hexadecimal, of a set of recorded versions: in the order of their bytes, each with a
// line break.
func HashVersions(versions map[string]bool) string {
	var text strings.Builder
	for _, v := range slices.Sorted(maps.Keys(versions)) {
		text.WriteString(v + "\n")
	}
	sum := sha256.Sum256([]byte(text.String()))
	return hex.EncodeToString(sum[:])
}
