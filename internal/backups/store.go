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

// maxManifest bounds what is read of a manifest, in bytes.
const maxManifest = 1 << 20

// Store is a bucket as a place for backups, a folder a tenant.
type Store struct{ *bucket.Bucket }

// List returns a tenant's backups, newest first. tenantKey names the folder.
func (s Store) List(ctx context.Context, tenantKey string) ([]Backup, error) {
	folder := s.Folder(tenantKey)
	objects, err := s.Bucket.List(ctx, folder)
	if err != nil {
		return nil, remedies.Explain(err)
	}
	return Find(folder, objects), nil
}

// Manifest reads a backup's manifest.
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
		err = errors.New("it is another backup's, or of a version that this program does not know")
	}
	if err != nil {
		return Manifest{}, remedies.Explain(fmt.Errorf("read the manifest of %s: %w", key, err))
	}
	return m, nil
}

// Commit writes a backup's manifest, which makes it one.
func (s Store) Commit(ctx context.Context, m Manifest) error {
	m.Version = manifestVersion
	data, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	_, err = s.PutSmall(ctx, m.Key+manifestSuffix, append(data, '\n'), "application/json")
	return err
}

// Prune deletes the backups that are not to be kept, and returns those that are gone and the keys that the store retains
// (Object Lock). The manifests go first: a backup whose deletion breaks off halfway is then one that was never finished
// and not one that claims to be there. A manifest that is retained or fails keeps its backup. Errors of single keys are
// joined.
func (s Store) Prune(ctx context.Context, decisions []Decision) (pruned []Decision, retained []string, err error) {
	var manifests, objects []string
	for _, d := range decisions {
		if !d.Keep && d.Verified {
			manifests = append(manifests, d.Key+manifestSuffix)
		}
	}
	first, errManifests := s.deleteAll(ctx, manifests)
	for _, d := range decisions {
		if !d.Keep && (!d.Verified || slices.Contains(first.Keys, d.Key+manifestSuffix)) {
			objects = append(objects, d.Key)
		}
	}
	second, errObjects := s.deleteAll(ctx, objects)
	for _, d := range decisions {
		if !d.Keep && slices.Contains(second.Keys, d.Key) {
			pruned = append(pruned, d)
		}
	}
	return pruned, slices.Concat(first.Retained, second.Retained), errors.Join(errManifests, errObjects)
}

func (s Store) deleteAll(ctx context.Context, keys []string) (bucket.Deleted, error) {
	if len(keys) == 0 {
		return bucket.Deleted{}, nil
	}
	return s.Delete(ctx, keys)
}

// AbortStale aborts those of the unfinished uploads that are of backups in the tenant's folder and were begun more than
// olderThan ago. It returns their keys.
func (s Store) AbortStale(ctx context.Context, tenantKey string, uploads []bucket.Unfinished, olderThan time.Duration) ([]string, error) {
	folder := s.Folder(tenantKey)
	return s.Bucket.AbortStale(ctx, uploads, olderThan, func(key string) bool {
		_, ours := ParseKey(folder, key)
		return ours
	})
}

// NewestVerified returns the newest backup that has its manifest, of backups listed newest first.
func NewestVerified(newestFirst []Backup) (Backup, bool) {
	i := slices.IndexFunc(newestFirst, func(b Backup) bool { return b.Verified })
	if i < 0 {
		return Backup{}, false
	}
	return newestFirst[i], true
}
