package httpx

import "time"

// Slowdown is a time in which a client is slower than its limits allow, because the server refuses calls (429).
type Slowdown struct {
	Over      bool          // the client is as fast as before
	Hold      time.Duration // at its beginning: how long every call waits first
	Lasted    time.Duration // when it is over
	PerMinute int           // when it is over: the slowest pace, in calls a minute; 0: calls were only held
}

// quietSpell is how long after the last refusal a slowdown without a pace is over. One with a pace lasts until bursts
// are allowed again.
const quietSpell = time.Minute

// slowdown follows one. The zero value is none.
type slowdown struct {
	began, last time.Time // the first and the latest refusal
	slowest     int       // pace, in calls a minute; 0: none
}

// refused counts a refusal, after which calls have that pace. It reports whether it is the first.
func (s *slowdown) refused(now time.Time, pace int) (first bool) {
	if first = s.began.IsZero(); first {
		*s = slowdown{began: now, slowest: pace}
	}
	s.last, s.slowest = now, min(s.slowest, pace)
	return first
}

// end ends it, if there is one, for a client whose calls are no longer paced.
func (s *slowdown) end(now time.Time) (done Slowdown, over bool) {
	if s.began.IsZero() || s.slowest == 0 && now.Sub(s.last) < quietSpell {
		return Slowdown{}, false
	}
	done = Slowdown{Over: true, Lasted: now.Sub(s.began), PerMinute: s.slowest}
	*s = slowdown{}
	return done, true
}
