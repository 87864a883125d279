package backups

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/org/neon-tenants-action/internal/bucket"
	"github.com/org/neon-tenants-action/internal/remedies"
)

const maxManifest = 1 << 20 // the largest manifest that is read, in bytes

// manifestError is the error of a manifest that is there and cannot be used: another tool's, an altered one, one of a
// later version. It is about this one backup, and must not keep a run from seeing the others.
type manifestError struct {
	key     string // the backup's
	problem string // completes "its manifest …"
}

func (e *manifestError) Error() string { return fmt.Sprintf("the manifest of %s %s", e.key, e.problem) }

// Manifest reads the manifest of the backup with that key. [bucket.IsNotFound] recognizes the error if there is none.
func (s Store) Manifest(ctx context.Context, key string) (Manifest, error) {
	data, err := s.GetSmall(ctx, key+manifestSuffix, maxManifest)
	var refused *bucket.Error
	switch {
	case errors.Is(err, bucket.ErrTooLarge):
		return Manifest{}, &manifestError{key, "is larger than any that this program writes"}
	case errors.As(err, &refused) && refused.Cause() == bucket.ObjectArchived:
		return Manifest{}, &manifestError{key,
			"is in an archive of the store's, and cannot be read before it is restored there"}
	case err != nil:
		return Manifest{}, remedies.Explain(err)
	}
	m, problem := decodeManifest(data, key)
	if problem != "" {
		return Manifest{}, &manifestError{key, problem}
	}
	return m, nil
}

// decodeManifest decodes the manifest of the backup with that key, or says what is wrong with it. It quotes nothing:
// what somebody else put there may be anything.
func decodeManifest(data []byte, key string) (m Manifest, problem string) {
	data = bytes.TrimSpace(data)
	err := json.Unmarshal(data, &m)
	switch {
	case len(data) == 0:
		return Manifest{}, "is empty"
	case !json.Valid(data):
		return Manifest{}, "is damaged: it is not JSON"
	case m.Version > manifestVersion: // whose fields may have other types
		return Manifest{}, fmt.Sprintf("is of version %d, and this program knows up to %d", m.Version, manifestVersion)
	case err != nil, m.Version < firstManifest, len(m.StoredSHA256) != 64:
		return Manifest{}, "is not one that this program wrote"
	case m.Key != key:
		return Manifest{}, "is another backup's"
	}
	return m, ""
}
