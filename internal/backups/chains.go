package backups

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/org/neon-tenants-action/internal/remedies"
	"github.com/org/neon-tenants-action/internal/words"
)

// Chain is the history of a tenant's backups: those of one id, from one place, in one folder. What was left out of a
// dump on purpose is in none.
type Chain struct {
	Folder string
	// Newest is the newest backup, even if it is damaged: a drill has to report that.
	Newest Judged
	Since  time.Time     // when the oldest of them began
	Proof  *RestoreProof // the newest that counts; nil: it was never proven
}

// Owner is whose backups they are.
func (c Chain) Owner() Owner {
	return Owner{ID: c.Newest.Manifest.Tenant.ID, Origin: c.Newest.Manifest.Origin}
}

// mayOwn reports whether something of a tenant with that id, from that place, is the owner's as far as either place is
// known.
func (o Owner) mayOwn(id string, from Origin) bool {
	return id == o.ID && (from == Origin{} || o.Origin == Origin{} || from.Same(o.Origin))
}

// Unproven is for how long nothing has proven that the tenant can be restored: since the last proof, or since the
// oldest backup that there is.
func (c Chain) Unproven(now time.Time) time.Duration {
	since := c.Since
	if c.Proof != nil {
		since = c.Proof.FinishedAt
	}
	return max(0, now.Sub(since))
}

// Chains returns every chain in the bucket, whether its tenant still exists or not, in the order of their folders. odd
// says what looks like a backup and belongs to none. For each folder it takes a listing and, as a rule, two or three
// reads: the manifests of the newest and of the oldest backup, and the proof.
func (s Store) Chains(ctx context.Context) (chains []Chain, odd []string, err error) {
	names, err := s.Folders(ctx, s.Folder(""))
	if err != nil {
		return nil, nil, remedies.Explain(err)
	}
	var mu sync.Mutex
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(concurrentFolders)
	for _, name := range names {
		group.Go(func() error {
			found, passed, err := s.chainsIn(ctx, s.Folder(name))
			mu.Lock()
			defer mu.Unlock()
			chains, odd = append(chains, found...), append(odd, passed...)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, nil, err
	}
	slices.SortFunc(chains, func(a, b Chain) int {
		return cmp.Or(strings.Compare(a.Folder, b.Folder), strings.Compare(b.Newest.Key, a.Newest.Key))
	})
	slices.Sort(odd)
	return chains, odd, nil
}

// chainsIn returns the chains in a folder.
func (s Store) chainsIn(ctx context.Context, folder string) (chains []Chain, odd []string, err error) {
	objects, err := s.Bucket.List(ctx, folder+century)
	if err != nil {
		return nil, nil, remedies.Explain(err)
	}
	listed := Find(folder, objects)
	judged, err := s.tell(ctx, listed)
	if err != nil {
		return nil, nil, err
	}
	manifests := map[string]Manifest{}
	for _, j := range judged {
		manifests[j.Key] = j.Manifest
	}
	chains, odd = chainsOf(folder, judged)
	for i := range chains {
		p, ok, future, err := s.newestProof(ctx, folder, objects, chains[i].Owner(), manifests)
		if err != nil {
			return nil, nil, err
		}
		odd = append(odd, future...)
		if ok {
			chains[i].Proof = &p
		}
	}
	if text := unfinished(listed, judged); len(chains) == 0 && text != "" {
		odd = append(odd, folder+": "+text)
	}
	return chains, odd, nil
}

// unfinished says which backups of a folder without a chain are partial, or were never verified; empty if none is.
func unfinished(listed []Backup, judged []Judged) string {
	partial, left, verified := 0, []string{}, 0
	for _, b := range listed {
		if b.Verified {
			verified++
		}
	}
	for _, j := range judged {
		if args := strings.Join(LeftOut(j.Manifest.Args), " "); j.Standing == Partial {
			partial++
			if !slices.Contains(left, args) {
				left = append(left, args)
			}
		}
	}
	switch bare := len(listed) - verified; {
	case partial > 0:
		const shown = 3
		text := fmt.Sprintf("%s, made with %s", words.Count(partial, "partial backup", "partial backups"),
			words.List(left, shown))
		if bare > 0 {
			text += fmt.Sprintf(", and %d without a manifest", bare)
		}
		return text
	case bare > 0 && verified == 0:
		return fmt.Sprintf("none of its %d backups has a manifest", bare)
	}
	return ""
}

// tell reads whose the backups in a folder are. If the newest and the oldest are of one owner, so are those in between:
// a folder changes hands with a name, and what then comes back to its first owner is found once the oldest are pruned.
func (s Store) tell(ctx context.Context, newestFirst []Backup) ([]Judged, error) {
	verified := slices.DeleteFunc(slices.Clone(newestFirst), func(b Backup) bool { return !b.Verified })
	if len(verified) <= 2 {
		return s.judgeOwn(ctx, verified)
	}
	ends, err := s.judgeOwn(ctx, []Backup{verified[0], verified[len(verified)-1]})
	if err != nil {
		return nil, err
	}
	newest, oldest := ends[0], ends[1]
	if inChain(newest) && inChain(oldest) && newest.Manifest.Origin != (Origin{}) &&
		oldest.Manifest.Of(newest.Manifest.Tenant.ID) && newest.Manifest.Origin == oldest.Manifest.Origin {
		return ends, nil
	}
	return s.judgeOwn(ctx, verified)
}

// judgeOwn decides what each backup is to the tenant that its own manifest names.
func (s Store) judgeOwn(ctx context.Context, listed []Backup) ([]Judged, error) {
	judged := make([]Judged, len(listed))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(concurrentReads)
	for i, b := range listed {
		group.Go(func() (err error) {
			j, err := s.judgeOne(ctx, b, Owner{})
			if m := j.Manifest; m.Version != 0 {
				j = judge(b, &m, Owner{ID: m.Tenant.ID, Origin: m.Origin}, s.Now())
			}
			judged[i] = j
			return err
		})
	}
	return judged, group.Wait()
}

// inChain reports whether a backup is one to be restored when the tenant is lost.
func inChain(j Judged) bool { return j.Standing == Counts || j.Standing == Damaged }

// chainsOf sorts backups, newest first, into chains. One that does not say where it came from is in the chain of its
// tenant's newest. odd are those that nobody can use, though they have a manifest.
func chainsOf(folder string, judged []Judged) (chains []Chain, odd []string) {
	for _, j := range judged {
		if !inChain(j) {
			if j.Standing == Unreadable || j.Standing == Future {
				odd = append(odd, fmt.Sprintf("%s (%s)", j.Key, j.Why()))
			}
			continue
		}
		m := j.Manifest
		i := slices.IndexFunc(chains, func(c Chain) bool { return c.Owner().mayOwn(m.Tenant.ID, m.Origin) })
		if i < 0 {
			chains = append(chains, Chain{Folder: folder, Newest: j, Since: j.Time})
			continue
		}
		chains[i].Since = j.Time
	}
	return chains, odd
}
