package bucket

import (
	"context"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// clock is the store's, as one of its responses showed it.
type clock struct {
	known bool
	skew  time.Duration // of the store's clock, as seen from this machine's; 0 where no difference could be measured
	at    time.Time     // by this machine's clock, when it was measured
}

// read takes the store's time from the Date header of a response. The store wrote it at some moment between the request
// and the response, most likely in the middle, and left out the fraction of its second.
func (c *clock) read(date string, sent, received time.Time) {
	low, err := http.ParseTime(date)
	if err != nil {
		return
	}
	trip := received.Sub(sent) // by the monotonic clock
	middle := sent.Add(trip / 2)
	high := low.Add(time.Second)
	c.known, c.at, c.skew = true, middle, 0
	if middle.Before(low.Add(-trip/2)) || middle.After(high.Add(trip/2)) {
		c.skew = low.Add(time.Second / 2).Sub(middle.Round(0))
	}
}

// measure makes a call read the store's clock, from the last attempt if there are several.
func (c *clock) measure(o *s3.Options) {
	o.APIOptions = append(o.APIOptions, func(stack *middleware.Stack) error {
		return stack.Deserialize.Add(middleware.DeserializeMiddlewareFunc("ReadTheStoresClock", func(
			ctx context.Context, in middleware.DeserializeInput, next middleware.DeserializeHandler,
		) (middleware.DeserializeOutput, middleware.Metadata, error) {
			sent := time.Now()
			out, metadata, err := next.HandleDeserialize(ctx, in)
			received := time.Now()
			if response, ok := out.RawResponse.(*smithyhttp.Response); ok && response != nil {
				c.read(response.Header.Get("Date"), sent, received)
			}
			return out, metadata, err
		}), middleware.After)
	})
}

// Now returns the time by the store's clock, which was measured once, when the bucket was opened. A store that sends no
// date has this machine's time.
func (b *Bucket) Now() time.Time {
	if !b.clock.known {
		return time.Now()
	}
	// Elapsed time is monotonic: what somebody does to this machine's clock meanwhile does not count.
	return b.clock.at.Round(0).Add(b.clock.skew + time.Since(b.clock.at))
}

// Skew returns by how much the store's clock is ahead of this machine's; known is false if the store sends no date.
func (b *Bucket) Skew() (skew time.Duration, known bool) { return b.clock.skew, b.clock.known }
