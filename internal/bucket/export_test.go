package bucket

import (
	"context"
	"net"
	"time"
)

// WithDial redirects every connection to one address.
func WithDial(o Options, to string) Options {
	o.dial = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, to)
	}
	return o
}

// WithDialer opens connections in another way.
func WithDialer(o Options, dial func(ctx context.Context, network, address string) (net.Conn, error)) Options {
	o.dial = dial
	return o
}

// WithConn wraps every connection.
func WithConn(o Options, wrap func(net.Conn) net.Conn) Options {
	o.dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return wrap(conn), nil
	}
	return o
}

// Impatient gives up on a connection after stall and hardly waits between attempts.
func Impatient(o Options, stall time.Duration) Options {
	o.stall, o.backoff = stall, 20*time.Millisecond
	return o
}

// Timed limits how long a connection may be idle.
func Timed(conn net.Conn, idle time.Duration) net.Conn { return &timedConn{Conn: conn, idle: idle} }

// PartSize and GrownSize compute the sizes of parts, in bytes.
var (
	PartSize  = partSize
	GrownSize = grownSize
)

// The limits on parts: S3's, and the program's own least size.
const (
	MaxParts    = maxParts
	MaxPartSize = maxPartSize
	MinPartSize = minPartSize
)

// UseUpParts lets an upload have no more parts.
func UseUpParts(w *Writer) { w.number = maxParts }

// UnusedMemory returns how much memory the bucket keeps for the next streams, and at most keeps, in bytes.
func (b *Bucket) UnusedMemory() (kept, most int) {
	c := &b.budget.chunks
	return len(c.free) * chunkSize, c.keep * chunkSize
}

// BudgetInUse reports whether a stream holds memory of the budget.
func (b *Bucket) BudgetInUse() bool {
	if !b.budget.extra.TryAcquire(extraBytes) {
		return true
	}
	b.budget.extra.Release(extraBytes)
	return !b.budget.admission.TryAcquire(b.budget.capacity)
}

// ReadClock returns by how much a store's clock is ahead that wrote a date in a response, and whether that is known.
func ReadClock(date string, sent, received time.Time) (time.Duration, bool) {
	var c clock
	c.read(date, sent, received)
	return c.skew, c.known
}
