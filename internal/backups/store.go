package backups

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/org/neon-tenants-action/internal/bucket"
	"github.com/org/neon-tenants-action/internal/remedies"
)

// maxManifest is the largest manifest that is read, in bytes.
const maxManifest = 1 << 20

// Store is a bucket with a folder of backups for each tenant.
type Store struct{ *bucket.Bucket }

// List returns the backups in a tenant's folder, newest first.
func (s Store) List(ctx context.Context, tenantKey string) ([]Backup, error) {
	folder := s.Folder(tenantKey)
	objects, err := s.Bucket.List(ctx, folder)
	if err != nil {
		return nil, remedies.Explain(err)
	}
	return Find(folder, objects), nil
}

// Manifest reads the manifest of the backup with that key. [bucket.IsNotFound] recognizes the error if there is none.
func (s Store) Manifest(ctx context.Context, key string) (Manifest, error) {
	r, err := s.Get(ctx, key+manifestSuffix)
	if err != nil {
		return Manifest{}, remedies.Explain(err)
	}
	defer func() { _ = r.Close() }()
	var m Manifest
	data, err := io.ReadAll(io.LimitReader(r, maxManifest))
	if err == nil {
		err = json.Unmarshal(data, &m)
	}
	if err == nil && (m.Version != manifestVersion || m.Key != key || len(m.StoredSHA256) != 64) {
		err = errors.New("it is another backup's, or of a version that this program does not support")
	}
	if err != nil {
		return Manifest{}, remedies.Explain(fmt.Errorf("read the manifest of %s: %w", key, err))
	}
	return m, nil
}

// Commit writes the manifest of a backup, which makes it a verified one.
func (s Store) Commit(ctx context.Context, m Manifest) error {
	m.Version = manifestVersion
	data, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	_, err = s.PutSmall(ctx, m.Key+manifestSuffix, append(data, '\n'), "application/json")
	return err
}

// Prune deletes the backups that are not to be kept. It returns those that it deleted, and the keys that the store
// retains (Object Lock). Manifests are deleted first, so that a deletion that is cut off never leaves a manifest
// without its backup. A backup whose manifest could not be deleted stays. The errors of single keys are joined.
func (s Store) Prune(ctx context.Context, decisions []Decision) (pruned []Decision, retained []string, err error) {
	var manifests, objects []string
	for _, d := range decisions {
		if !d.Keep && d.Verified {
			manifests = append(manifests, d.Key+manifestSuffix)
		}
	}
	deletedManifests, errManifests := s.deleteAll(ctx, manifests)
	for _, d := range decisions {
		if !d.Keep && (!d.Verified || slices.Contains(deletedManifests.Keys, d.Key+manifestSuffix)) {
			objects = append(objects, d.Key)
		}
	}
	deletedObjects, errObjects := s.deleteAll(ctx, objects)
	for _, d := range decisions {
		if !d.Keep && slices.Contains(deletedObjects.Keys, d.Key) {
			pruned = append(pruned, d)
		}
	}
	return pruned, slices.Concat(deletedManifests.Retained, deletedObjects.Retained), errors.Join(errManifests, errObjects)
}

func (s Store) deleteAll(ctx context.Context, keys []string) (bucket.Deleted, error) {
	if len(keys) == 0 {
		return bucket.Deleted{}, nil
	}
	return s.Delete(ctx, keys)
}

// AbortStale aborts the unfinished uploads of backups in a tenant's folder that were begun more than olderThan ago, and
// returns their keys.
func (s Store) AbortStale(
	ctx context.Context, tenantKey string, uploads []bucket.Unfinished, olderThan time.Duration,
) ([]string, error) {
	folder := s.Folder(tenantKey)
	return s.Bucket.AbortStale(ctx, uploads, olderThan, func(key string) bool {
		_, ours := ParseKey(folder, key)
		return ours
	})
}
