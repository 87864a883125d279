package backup

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/org/neon-tenants-action/internal/backups"
	"github.com/org/neon-tenants-action/internal/deadline"
	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/words"
)

// ranked returns tenants in the order in which their backups are to be proven: those that never were, with the oldest
// backups first; then those whose proof is the oldest. Tenants without a backup come last.
func ranked(tenants []fleet.Tenant, chains map[string]backups.Chain) []fleet.Tenant {
	ordered := slices.Clone(tenants)
	slices.SortStableFunc(ordered, func(a, b fleet.Tenant) int {
		x, hasX := chains[a.ID]
		y, hasY := chains[b.ID]
		if !hasX || !hasY {
			return cmp.Compare(last(!hasX), last(!hasY))
		}
		if x.Proof == nil || y.Proof == nil {
			return cmp.Or(cmp.Compare(last(x.Proof != nil), last(y.Proof != nil)), x.Since.Compare(y.Since),
				strings.Compare(x.Newest.Key, y.Newest.Key))
		}
		return cmp.Or(x.Proof.FinishedAt.Compare(y.Proof.FinishedAt), strings.Compare(x.Newest.Key, y.Newest.Key))
	})
	return ordered
}

// last sorts false before true.
func last(yes bool) int {
	if yes {
		return 1
	}
	return 0
}

// outOfReach says that a run every night does not prove every backup in time, and how many a night would; empty if it
// does.
func outOfReach(backups, each int, sample fleet.Sample, maxAge time.Duration) string {
	if backups == 0 || each == 0 {
		return ""
	}
	nights, has := (backups+each-1)/each, max(1, int(maxAge/(24*time.Hour)))
	if nights <= has {
		return ""
	}
	return fmt.Sprintf("sample: %s proves %d of %s in a run, so that a run every night takes %d nights for all, longer "+
		"than max-proof-age: %s; set sample: %d or more", sample, each, words.Count(backups, "tenant", "tenants"), nights,
		words.Setting(maxAge), (backups+has-1)/has)
}

// quota lets as many drills succeed as the sample asks for. A backup that does not restore stays the one that was
// proven longest ago; if it took a place in each run, a few of them would keep all others from being proven. So the
// next in order takes the place of a drill that failed, but a run begins at most twice as many as it was asked for.
// Workers start in order and run at once, so that each also waits until those before it have had their turn.
type quota struct {
	mu      sync.Mutex
	passed  map[int]bool // places in the order whose turn it was
	next    int          // the first place that is not among them
	left    int          // that may begin now
	spare   int          // that may begin in place of others
	running int
	changed chan struct{} // closed when one ends
}

func newQuota(sample int) *quota {
	return &quota{left: sample, spare: sample, passed: map[int]bool{}, changed: make(chan struct{})}
}

// pass ends a place's turn.
func (q *quota) pass(place int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.passed[place] = true
	for q.passed[q.next] {
		q.next++
	}
	q.wake()
}

// wake has those that wait look again. The caller holds the lock.
func (q *quota) wake() {
	close(q.changed)
	q.changed = make(chan struct{})
}

// enter waits until it is known whether the drill at that place may begin. Waiting is not the tenant's time.
func (q *quota) enter(ctx context.Context, place int) (_ bool, err error) {
	resume := func(bool) {}
	defer func() {
		q.pass(place)
		resume(err == nil)
	}()
	for waits := false; ; waits = true {
		q.mu.Lock()
		first := place <= q.next
		if first && q.left > 0 {
			q.left--
			q.running++
			q.mu.Unlock()
			return true, nil
		}
		over, changed := first && (q.running == 0 || q.spare == 0), q.changed
		q.mu.Unlock()
		if over {
			return false, nil
		}
		if !waits {
			resume = deadline.Pause(ctx)
		}
		select {
		case <-changed:
		case <-ctx.Done():
			deadline.TurnAway(ctx)
			return false, fmt.Errorf("wait for the drills before: %w", context.Cause(ctx))
		}
	}
}

// leave ends a drill.
func (q *quota) leave(proven bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.running--
	if !proven && q.spare > 0 {
		q.spare--
		q.left++
	}
	q.wake()
}
