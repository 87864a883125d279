package bucket

import (
	"context"

	"golang.org/x/sync/semaphore"
)

const (
	minPartSize = 8 << 20 // bytes
	// extraBytes is how much memory all streams together may use beyond the one part that each of them is guaranteed.
	// It lets a stream fill its next part while earlier ones are still being uploaded.
	extraBytes = 64 << 20
)

// budget bounds the memory of all streams of a bucket. An admitted stream is guaranteed room for one part, which is all
// it needs to make progress, so streams cannot deadlock. They take extra parts only without waiting.
type budget struct {
	admission *semaphore.Weighted
	capacity  int64 // of admission, in bytes
	extra     *semaphore.Weighted
	chunks    chunks
}

func newBudget(streams int) *budget {
	capacity := int64(streams) * minPartSize
	return &budget{
		admission: semaphore.NewWeighted(capacity), capacity: capacity, extra: semaphore.NewWeighted(extraBytes),
	}
}

// admit waits until there is room for a stream with parts of the given size. A part that exceeds the whole capacity
// (over 128 MiB, for databases of a terabyte) takes almost all of it and leaves room for two small streams.
func (b *budget) admit(ctx context.Context, partSize int64) (release func(), err error) {
	weight := min(partSize, max(b.capacity-2*minPartSize, minPartSize))
	if err := b.admission.Acquire(ctx, weight); err != nil {
		return nil, err
	}
	return func() { b.admission.Release(weight) }, nil
}
