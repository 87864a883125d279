package backups

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/org/neon-tenants-action/internal/bucket"
	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/remedies"
)

const (
	// proofVersion is that of the proof's format.
	proofVersion = 1
	maxProof     = 1 << 20 // the largest proof that is read, in bytes
)

// RestoreProof is the evidence that a backup was restored into a throwaway database, and what it was compared by. It is
// stored beside the backup, which it never changes, and written only if everything was as it should be.
type RestoreProof struct {
	Version      int          `json:"version"` // [Store.Prove] sets it
	Key          string       `json:"key"`     // the backup's
	Tenant       fleet.Tenant `json:"tenant"`
	Origin       Origin       `json:"origin"`
	MadeAt       time.Time    `json:"backup_started_at"`
	StoredSize   int64        `json:"stored_size"` // bytes
	StoredSHA256 string       `json:"stored_sha256"`
	ETag         string       `json:"etag,omitempty"` // of the object that was restored

	Tables        int    `json:"tables"`
	Rows          int64  `json:"rows"`
	Fingerprint   string `json:"schema_fingerprint"` // of the restored schema, see [Contents]
	SchemaVersion string `json:"schema_version,omitempty"`
	// Compared says what of the restored database was compared with what, NotCompared what could not be, and why.
	Compared    []string `json:"compared"`
	NotCompared []string `json:"not_compared,omitempty"`
	// CheckSQL is the SHA-256 of the query that returned true there; empty if there was none.
	CheckSQL string `json:"check_sql_sha256,omitempty"`

	ServerVersion  string    `json:"server_version"` // of the server that it was restored on
	ProgramVersion string    `json:"program_version,omitempty"`
	RunID          string    `json:"run_id"`
	StartedAt      time.Time `json:"started_at"` // of the restore, by the store's clock
	FinishedAt     time.Time `json:"finished_at"`
	Seconds        float64   `json:"seconds"` // that it took
}

// proves reports whether the proof is still one of that object: nobody has replaced it since. m is the manifest, whose
// hash the restore compared. A listing tells times in whole seconds.
func (p RestoreProof) proves(o, proof bucket.Object, m Manifest) bool {
	sameTag := p.ETag == "" || o.ETag == "" || strings.Trim(p.ETag, `"`) == strings.Trim(o.ETag, `"`)
	return sameTag && p.StoredSize == o.Size && p.StoredSHA256 == m.StoredSHA256 && !proof.Modified.Before(o.Modified)
}

// Prove writes the proof of a backup.
func (s Store) Prove(ctx context.Context, p RestoreProof) error {
	p.Version = proofVersion
	data, err := json.MarshalIndent(p, "", "  ")
	if err != nil {
		return err
	}
	_, err = s.ReplaceSmall(ctx, p.Key+proofSuffix, append(data, '\n'), "application/json")
	return remedies.Explain(err)
}

// readProof reads the proof of the backup with that key. ok is false if there is none that this program can use: then
// the backup counts as not proven.
func (s Store) readProof(ctx context.Context, key string) (p RestoreProof, ok bool, err error) {
	data, err := s.GetSmall(ctx, key+proofSuffix, maxProof)
	var refused *bucket.Error
	switch {
	case bucket.IsNotFound(err), errors.Is(err, bucket.ErrTooLarge),
		errors.As(err, &refused) && refused.Cause() == bucket.ObjectArchived:
		return p, false, nil
	case err != nil:
		return p, false, remedies.Explain(err)
	}
	p, ok = decodeProof(data, key)
	return p, ok, nil
}

func decodeProof(data []byte, key string) (p RestoreProof, ok bool) {
	err := json.Unmarshal(data, &p)
	return p, err == nil && p.Version == proofVersion && p.Key == key && len(p.StoredSHA256) == 64 &&
		!p.FinishedAt.IsZero()
}

// proofsIn returns the proofs in a folder by their backups' keys, the newest backup's first.
func proofsIn(folder string, objects []bucket.Object) (keys []string, proofs map[string]bucket.Object) {
	proofs = map[string]bucket.Object{}
	for _, o := range objects {
		key, isProof := strings.CutSuffix(o.Key, proofSuffix)
		if _, ours := ParseKey(folder, key); isProof && ours {
			keys = append(keys, key)
			proofs[key] = o
		}
	}
	slices.SortFunc(keys, func(a, b string) int { return strings.Compare(b, a) })
	return keys, proofs
}

// newestProof returns the newest proof in a folder that counts for the owner: of a backup that is as it was then, or of
// one that has been pruned since. ok is false if there is none. odd are those from the future, which would count for
// ever.
func (s Store) newestProof(
	ctx context.Context, folder string, objects []bucket.Object, o Owner, manifests map[string]Manifest,
) (_ RestoreProof, ok bool, odd []string, err error) {
	stored := map[string]bucket.Object{}
	for _, object := range objects {
		stored[object.Key] = object
	}
	keys, proofs := proofsIn(folder, objects)
	for _, key := range keys {
		p, readable, err := s.readProof(ctx, key)
		if err != nil {
			return RestoreProof{}, false, odd, err
		}
		if !readable || !o.mayOwn(p.Tenant.ID, p.Origin) {
			continue
		}
		if p.FinishedAt.After(s.Now().Add(MaxSkew)) {
			odd = append(odd, fmt.Sprintf("%s (%s)", key+proofSuffix, notYet))
			continue
		}
		object, exists := stored[key]
		if !exists {
			return p, true, odd, nil
		}
		m, known := manifests[key]
		if !known {
			m, err = s.Manifest(ctx, key)
			if bucket.IsNotFound(err) || errors.As(err, new(*manifestError)) {
				continue // without its manifest it is no backup that was proven
			}
			if err != nil {
				return RestoreProof{}, false, odd, err
			}
		}
		if p.proves(object, proofs[key], m) {
			return p, true, odd, nil
		}
	}
	return RestoreProof{}, false, odd, nil
}

// Proven returns the newest proof of the owner's backups among the objects of a tenant's folder; ok is false if none
// counts.
func (s Store) Proven(ctx context.Context, folder string, objects []bucket.Object, o Owner) (
	_ RestoreProof, ok bool, err error,
) {
	p, ok, _, err := s.newestProof(ctx, folder, objects, o, nil)
	return p, ok, err
}

// PruneProofs deletes the proofs of the owner's backups that are gone from the tenant's folder, if any was just pruned:
// whoever may not delete backups may not delete proofs, and is not asked to. The owner's newest proof stays, even
// without its backup, until there is another: it tells when the tenant was last proven. With a short retention nothing
// else would, and drills would go round among the same few tenants.
func (s Store) PruneProofs(
	ctx context.Context, folder string, objects []bucket.Object, pruned []Decision, o Owner,
) error {
	if len(pruned) == 0 {
		return nil
	}
	gone := map[string]bool{}
	for _, d := range pruned {
		gone[d.Key] = true
	}
	exists := map[string]bool{}
	for _, object := range objects {
		exists[object.Key] = !gone[object.Key]
	}
	keys, _ := proofsIn(folder, objects)
	var own []string // newest first
	for _, key := range keys {
		p, readable, err := s.readProof(ctx, key)
		if err != nil {
			return fmt.Errorf("read the proofs of pruned backups: %w", err)
		}
		if readable && o.mayOwn(p.Tenant.ID, p.Origin) {
			own = append(own, key)
		}
	}
	if _, err := s.deleteAll(ctx, outlived(own, exists)); err != nil {
		return fmt.Errorf("delete the proofs of pruned backups: %w", err)
	}
	return nil
}

// outlived returns the proofs to delete of those whose backups have these keys, the newest first.
func outlived(own []string, exists map[string]bool) (old []string) {
	for i, key := range own {
		if i > 0 && !exists[key] {
			old = append(old, key+proofSuffix)
		}
	}
	return old
}
