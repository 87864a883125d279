// Package grace keeps work alive for a bounded time after its context has ended, so that an answer can still arrive
// or an abort can still be sent.
package grace

import (
	"context"
	"time"

	"github.com/org/neon-tenants-action/internal/deadline"
)

// Context returns a copy of ctx that ends d after ctx does, with ctx's cause. If ctx has already ended, d counts from
// now. The copy has ctx's values, but neither its deadline nor that of its clock. The caller must call cancel to
// release it.
func Context(ctx context.Context, d time.Duration) (late context.Context, cancel context.CancelFunc) {
	return ContextFunc(ctx, func() time.Duration { return d })
}

// ContextFunc is [Context] for a grace period that is not known until ctx ends: it calls d, from a goroutine of its
// own, when that happens.
func ContextFunc(ctx context.Context, d func() time.Duration) (late context.Context, cancel context.CancelFunc) {
	late, end := context.WithCancelCause(deadline.Unbounded(context.WithoutCancel(ctx)))
	stop := context.AfterFunc(ctx, func() {
		timer := time.NewTimer(d())
		defer timer.Stop()
		select {
		case <-timer.C:
			end(context.Cause(ctx))
		case <-late.Done():
		}
	})
	return late, func() {
		stop()
		end(context.Cause(ctx)) // nil while ctx lives, which makes the cause context.Canceled
	}
}
