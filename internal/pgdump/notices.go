package pgdump

import (
	"context"
	"log/slog"
	"sync/atomic"
)

// maxNotices is how many of a restore's messages reach the log. A trigger or a long list of dropped objects could
// otherwise fill it.
const maxNotices = 100

// notices passes the first messages on and counts the others.
type notices struct {
	slog.Handler
	count *atomic.Int64
}

func newNotices(log *slog.Logger) notices { return notices{log.Handler(), new(atomic.Int64)} }

// Handle implements slog.Handler.
func (n notices) Handle(ctx context.Context, r slog.Record) error {
	if n.count.Add(1) > maxNotices {
		return nil
	}
	return n.Handler.Handle(ctx, r)
}

// left is how many messages were not passed on.
func (n notices) left() int64 { return max(0, n.count.Load()-maxNotices) }
