package backups

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/org/neon-tenants-action/internal/bucket"
	"github.com/org/neon-tenants-action/internal/remedies"
)

const (
	concurrentReads = 8 // of one tenant's manifests
)

// Store is a bucket with a folder of backups for each tenant.
type Store struct{ *bucket.Bucket }

// List returns the backups in a tenant's folder, whoever they are of, newest first.
func (s Store) List(ctx context.Context, tenantKey string) ([]Backup, error) {
	objects, err := s.Objects(ctx, tenantKey)
	return Find(s.Folder(tenantKey), objects), err
}

// Objects returns everything in a tenant's folder: backups, manifests, proofs, and what is no concern of ours.
func (s Store) Objects(ctx context.Context, tenantKey string) ([]bucket.Object, error) {
	objects, err := s.Bucket.List(ctx, s.Folder(tenantKey))
	return objects, remedies.Explain(err)
}

// judgeOne reads a backup's manifest and decides what it is to its owner.
func (s Store) judgeOne(ctx context.Context, b Backup, o Owner) (Judged, error) {
	if !b.Verified {
		return judge(b, nil, o, s.Now()), nil
	}
	if b.Key == o.Written {
		return Judged{Backup: b, Manifest: o.manifest(), owner: o}, nil
	}
	m, err := s.Manifest(ctx, b.Key)
	var bad *manifestError
	switch {
	case err == nil:
		return judge(b, &m, o, s.Now()), nil
	case bucket.IsNotFound(err): // another run has pruned it since it was listed
		b.Verified = false
		return judge(b, nil, o, s.Now()), nil
	case errors.As(err, &bad):
		j := judge(b, nil, o, s.Now())
		j.problem = bad.problem
		return j, nil
	}
	return Judged{}, err
}

// Judge decides what each listed backup is to its owner, which takes one request for each verified one.
func (s Store) Judge(ctx context.Context, listed []Backup, o Owner) ([]Judged, error) {
	judged := make([]Judged, len(listed))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(concurrentReads)
	for i, b := range listed {
		group.Go(func() (err error) {
			judged[i], err = s.judgeOne(ctx, b, o)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	clarify(judged)
	return judged, nil
}

// Newest returns the owner's newest backup that counts, and those that were passed over on the way to it. Usually that
// takes one request. found.Key is empty if none counts; passed then holds every backup.
func (s Store) Newest(ctx context.Context, newestFirst []Backup, o Owner) (found Judged, passed []Judged, err error) {
	for _, b := range newestFirst {
		j, err := s.judgeOne(ctx, b, o)
		if err != nil {
			return Judged{}, nil, err
		}
		if j.Standing == Counts && j.Manifest.Origin == (Origin{}) {
			return s.newestOfAll(ctx, newestFirst, o) // whether it is clear whose it is depends on the others
		}
		if j.Standing == Counts {
			return j, passed, nil
		}
		passed = append(passed, j)
	}
	clarify(passed)
	return Judged{}, passed, nil
}

func (s Store) newestOfAll(ctx context.Context, newestFirst []Backup, o Owner) (Judged, []Judged, error) {
	judged, err := s.Judge(ctx, newestFirst, o)
	if err != nil {
		return Judged{}, nil, err
	}
	for i, j := range judged {
		if j.Standing == Counts {
			return j, judged[:i], nil
		}
	}
	return Judged{}, judged, nil
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
