package backups

import (
	"context"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"
)

const (
	concurrentFolders = 16
	// century begins the name of every backup, and of little else. It keeps a listing short in a folder of something else.
	century = "2"
)

// Renamed returns the newest backup that counts of an owner whose own folder has none, from the folder of a name that
// the tenant had before. found.Key is empty if there is none.
//
// present tells for each folder that belongs to a listed tenant that tenant's id. The other folders are looked into
// first: they belong to nobody any more. Of a folder that has a new owner only the backups from before are read. So a
// search costs a listing, and a read or a few, for each folder.
func (s Store) Renamed(ctx context.Context, o Owner, present map[string]string) (found Judged, err error) {
	names, err := s.Folders(ctx, s.Folder(""))
	if err != nil {
		return Judged{}, err
	}
	var free, taken []string
	for _, name := range names {
		switch holder, ok := present[name]; {
		case !ok:
			free = append(free, name)
		case holder != o.ID: // its own has been looked into
			taken = append(taken, name)
		}
	}
	for _, some := range [][]string{free, taken} {
		if found, err = s.newestIn(ctx, o, some, present); err != nil || found.Key != "" {
			return found, err
		}
	}
	return Judged{}, nil
}

// newestIn returns the newest backup that counts in several folders.
func (s Store) newestIn(ctx context.Context, o Owner, names []string, present map[string]string) (Judged, error) {
	var mu sync.Mutex
	var newest Judged
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(concurrentFolders)
	for _, name := range names {
		group.Go(func() error {
			folder := s.Folder(name)
			objects, err := s.Bucket.List(ctx, folder+century)
			if err != nil {
				return err
			}
			listed, err := s.before(ctx, Find(folder, objects), o, present[name])
			if err != nil {
				return err
			}
			j, _, err := s.Newest(ctx, listed, o)
			if err != nil || j.Key == "" {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			if newest.Key == "" || j.Time.After(newest.Time) {
				newest = j
			}
			return nil
		})
	}
	return newest, group.Wait()
}

// before returns the backups in a folder that are older than the first of the tenant that has the folder now. holder is
// that tenant's id; empty if there is none.
func (s Store) before(ctx context.Context, newestFirst []Backup, o Owner, holder string) ([]Backup, error) {
	if holder == "" {
		return newestFirst, nil
	}
	for i, b := range slices.Backward(newestFirst) {
		j, err := s.judgeOne(ctx, b, o)
		if err != nil {
			return nil, err
		}
		if j.Manifest.Of(holder) {
			return newestFirst[i+1:], nil
		}
	}
	return newestFirst, nil
}

// Named returns the backup with that key, in whatever folder. [bucket.IsNotFound] recognizes the error if there is
// none. Whose it is the object's own metadata tells where there is no manifest.
func (s Store) Named(ctx context.Context, key Key, o Owner) (Judged, error) {
	object, err := s.Head(ctx, key.String())
	if err != nil {
		return Judged{}, err
	}
	b := Backup{Key: key.String(), Time: key.Time, Size: object.Size, Verified: true}
	j, err := s.judgeOne(ctx, b, o)
	if err != nil || j.Standing != Unverified {
		return j, err
	}
	id, origin := fromMetadata(object.Metadata)
	j.Manifest.Tenant.ID, j.Manifest.Origin = id, origin
	if id != "" && id != o.ID {
		j.Standing = Foreign
	}
	return j, nil
}
