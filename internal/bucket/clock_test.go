package bucket_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/org/neon-tenants-action/internal/bucket"
	"github.com/org/neon-tenants-action/internal/bucket/buckettest"
)

// A date has no fraction of its second, and the trip takes time: a difference that these explain is none.
func TestReadClock(t *testing.T) {
	sent := time.Date(2026, 3, 10, 12, 0, 0, 900e6, time.UTC)
	date := func(after time.Duration) string { return sent.Add(after).UTC().Format(http.TimeFormat) }
	for name, c := range map[string]struct {
		date string
		trip time.Duration
		want time.Duration
		ok   bool
	}{
		"the same second":            {date(0), 20 * time.Millisecond, 0, true},
		"the next second, as it may": {date(time.Second), 300 * time.Millisecond, 0, true},
		"a long trip":                {date(3 * time.Second), 8 * time.Second, 0, true},
		"a second behind":            {date(-2 * time.Second), 0, -2400 * time.Millisecond, true},
		"twenty days behind":         {date(-480 * time.Hour), 0, -480*time.Hour - 400*time.Millisecond, true},
		"ten minutes ahead":          {date(10 * time.Minute), 0, 10*time.Minute - 400*time.Millisecond, true},
		"no date":                    {"", 0, 0, false},
		"not a date":                 {"tomorrow", 0, 0, false},
	} {
		skew, known := bucket.ReadClock(c.date, sent, sent.Add(c.trip))
		if skew != c.want || known != c.ok {
			t.Errorf("%s: got %s, %t", name, skew, known)
		}
	}
}

func TestNowIsTheStores(t *testing.T) {
	proxy := buckettest.StartFaultProxy(t, buckettest.Shared(t))
	o := custom(t, buckettest.Shared(t))
	o.Endpoint = proxy.URL
	for _, ahead := range []time.Duration{0, -480 * time.Hour, 3 * time.Minute} {
		proxy.ShiftClock(ahead)
		b := open(t, o)
		skew, known := b.Skew()
		if !known || (skew-ahead).Abs() > 2*time.Second {
			t.Errorf("the skew is %s, %t, want %s", skew, known, ahead)
		}
		if off := time.Until(b.Now()) - ahead; off.Abs() > 2*time.Second {
			t.Errorf("%s: its time is off by %s", ahead, off)
		}
	}
}
