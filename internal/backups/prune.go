package backups

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/org/neon-tenants-action/internal/bucket"
)

// PlanOf applies a policy to the owner's backups among those that were judged, and returns the decisions newest first.
// What is another's, or from the future, is left out of it: it neither takes a place nor is deleted. Partial backups
// that were made with the same arguments are a history of their own, beside that of the whole ones.
func PlanOf(now time.Time, judged []Judged, p Policy, protect string) []Decision {
	histories := map[string][]Backup{}
	original := map[string]Judged{}
	main := mainHistory(judged)
	for _, j := range judged {
		b, history := j.Backup, main
		switch j.Standing {
		case Counts, Partial:
			history = historyOf(j)
		case Damaged:
			b.Verified = false
			history = historyOf(j)
		case Unverified:
		default:
			continue
		}
		original[b.Key] = j
		histories[history] = append(histories[history], b)
	}
	var decisions []Decision
	for _, history := range histories {
		decisions = append(decisions, Plan(now, history, p, protect)...)
	}
	for i, d := range decisions {
		j := original[d.Key]
		decisions[i].Backup = j.Backup // with its manifest, which has to be deleted too
		if !d.Keep && j.Standing == Damaged {
			decisions[i].Reasons[len(d.Reasons)-1] = j.Why()
		}
	}
	slices.SortFunc(decisions, func(a, b Decision) int {
		return cmp.Or(b.Time.Compare(a.Time), strings.Compare(b.Key, a.Key))
	})
	return decisions
}

// historyOf names the history that a backup belongs to: empty for whole ones, else the arguments.
func historyOf(j Judged) string {
	if j.Manifest.whole() {
		return ""
	}
	return strings.Join(j.Manifest.Args, "\x00")
}

// mainHistory is that of the newest backup of the owner's. Those that were never finished are counted there, because
// they don't say which they belong to.
func mainHistory(newestFirst []Judged) string {
	for _, j := range newestFirst {
		if j.Standing == Counts || j.Standing == Partial {
			return historyOf(j)
		}
	}
	return ""
}

// Due decides what a policy deletes of the owner's backups. judged are those whose manifests it had to read: none but
// the newest if nothing is due whoever the backups are of; else, unless the policy counts by periods, those that may be
// due and the newest that stay instead.
func (s Store) Due(
	ctx context.Context, listed []Backup, o Owner, p Policy,
) (decisions []Decision, judged []Judged, err error) {
	now := s.Now()
	var read, rest []Backup
	due := 0
	for _, d := range Plan(now, listed, p, o.Written) {
		if d.Keep {
			rest = append(rest, d.Backup)
		} else {
			read = append(read, d.Backup)
			due++
		}
	}
	if p.Daily+p.Weekly+p.Monthly > 0 && due > 0 {
		read, rest = listed, nil
	}
	if judged, err = s.Judge(ctx, read, o); err != nil {
		return nil, nil, err
	}
	silent := func(j Judged) bool { return j.Standing == Counts && j.Manifest.Origin == Origin{} }
	if slices.ContainsFunc(judged, silent) { // whether it is clear whose these are depends on the others
		if judged, err = s.Judge(ctx, listed, o); err != nil {
			return nil, nil, err
		}
		rest = nil
	}
	counted, needed := 0, max(p.KeepLast, 1)
	if due == 0 {
		needed = 1 // for a warning only
	}
	for _, b := range rest {
		if b.Key == o.Written && due == 0 {
			continue // the one before it may be another's
		}
		if counted >= needed {
			break
		}
		j, err := s.judgeOne(ctx, b, o)
		if err != nil {
			return nil, nil, err
		}
		judged = append(judged, j)
		if j.Standing == Counts || due == 0 {
			counted++
		}
	}
	if due == 0 {
		return nil, judged, nil
	}
	slices.SortStableFunc(judged, func(a, b Judged) int { return b.Time.Compare(a.Time) })
	clarify(judged)
	return PlanOf(now, judged, p, o.Written), judged, nil
}

// Pruning is the outcome of a [Store.Prune].
type Pruning struct {
	// Deleted are the backups that a listing no longer shows.
	Deleted []Decision
	// Marked are those of them that are still stored and billed, because the bucket keeps the versions of its objects.
	Marked []string
	// Retained are those that the store does not let go yet (Object Lock), and that stay as they are.
	Retained []string
	// Left are unfinished backups whose metadata does not say that they are the owner's.
	Left []string
}

// Prune deletes the backups that are not to be kept. Manifests are deleted first, so that a deletion that is cut off
// never leaves a manifest without its backup. A backup whose manifest could not be deleted stays. The errors of single
// keys are joined.
func (s Store) Prune(ctx context.Context, decisions []Decision, o Owner) (Pruning, error) {
	due, p, err := s.due(ctx, decisions, o)
	if err != nil {
		return Pruning{}, err
	}
	var manifests, objects []string
	for _, d := range due {
		if d.Verified {
			manifests = append(manifests, d.Key+manifestSuffix)
		}
	}
	deletedManifests, errManifests := s.deleteAll(ctx, manifests)
	for _, d := range due {
		if !d.Verified || slices.Contains(deletedManifests.Keys, d.Key+manifestSuffix) {
			objects = append(objects, d.Key)
		}
	}
	deletedObjects, errObjects := s.deleteAll(ctx, objects)
	for _, d := range due {
		if slices.Contains(deletedObjects.Keys, d.Key) {
			p.Deleted = append(p.Deleted, d)
		}
	}
	p.Marked = deletedObjects.Marked
	for _, key := range slices.Concat(deletedManifests.Retained, deletedObjects.Retained) {
		p.Retained = append(p.Retained, strings.TrimSuffix(key, manifestSuffix))
	}
	return p, errors.Join(errManifests, errObjects)
}

// due looks at each object that is to be deleted, and leaves out those that are locked. A bucket with Object Lock would
// hide them behind a mark, and go on storing them. It also leaves out those without a manifest that are another's.
func (s Store) due(ctx context.Context, decisions []Decision, o Owner) (due []Decision, p Pruning, err error) {
	for _, d := range decisions {
		if !d.Keep {
			due = append(due, d)
		}
	}
	objects := make([]bucket.Object, len(due))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(concurrentReads)
	for i, d := range due {
		group.Go(func() (err error) {
			if objects[i], err = s.Head(ctx, d.Key); bucket.IsNotFound(err) {
				err = nil // another run has deleted it
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, p, err
	}
	now := s.Now()
	kept := due[:0]
	for i, d := range due {
		switch id, origin := fromMetadata(objects[i].Metadata); {
		case objects[i].Held(now):
			p.Retained = append(p.Retained, d.Key)
		case !d.Verified && objects[i].Key != "" && (id != o.ID || origin != Origin{} && !origin.Same(o.Origin)):
			p.Left = append(p.Left, d.Key)
		default:
			kept = append(kept, d)
		}
	}
	return kept, p, nil
}

func (s Store) deleteAll(ctx context.Context, keys []string) (bucket.Deleted, error) {
	if len(keys) == 0 {
		return bucket.Deleted{}, nil
	}
	return s.Delete(ctx, keys)
}
