package bucket

import (
	"context"
	"net"
	"time"
)

// WithDial leads every connection to one address.
func WithDial(o Options, to string) Options {
	o.dial = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, to)
	}
	return o
}

// Through wraps every connection.
func Through(o Options, wrap func(net.Conn) net.Conn) Options {
	o.dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return wrap(conn), nil
	}
	return o
}

// Impatient waits only so long for what stands still, and hardly between tries.
func Impatient(o Options, stall time.Duration) Options {
	o.stall, o.backoff = stall, 20*time.Millisecond
	return o
}

// PartSize, GrownSize and the limits are for the arithmetic.
var (
	PartSize  = partSize
	GrownSize = grownSize
)

// S3's limits, and ours.
const (
	MaxParts    = maxParts
	MaxPartSize = maxPartSize
	MinPartSize = minPartSize
)

// ExtraTaken is whether anything of the shared budget is taken.
func (b *Bucket) ExtraTaken() bool {
	if !b.budget.extra.TryAcquire(extraBytes) {
		return true
	}
	b.budget.extra.Release(extraBytes)
	return !b.budget.admission.TryAcquire(b.budget.room)
}
