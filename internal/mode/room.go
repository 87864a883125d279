package mode

// room is how many workers may be on one server at once. A refusal lowers the limit to what evidently fits; it rises
// again by one for every full round of workers that found a place, and is gone after a full round at its peak. A rise
// that the server refuses makes the next one take twice as many rounds, so that a server whose room stays the same
// refuses few of hundreds. The zero value is no limit.
type room struct {
	limit  int // of active workers; 0: none
	peak   int // active workers when the limit was first set; it rises no higher
	served int // workers that have left since the limit last changed
	rounds int // of as many workers as the limit, until it rises; at most maxRounds
	probed bool
}

// maxRounds bounds how long a server's new room goes unnoticed.
const maxRounds = 8

// fits reports whether one more worker may join those that are active.
func (r *room) fits(active int) bool { return r.limit == 0 || active < r.limit }

// refused lowers the limit after the server refused a worker beside that many others, which stay.
func (r *room) refused(others int) {
	if others = max(others, 1); r.limit == 0 {
		*r = room{limit: others, peak: others + 1, rounds: 1}
		return
	}
	if others >= r.limit { // more connections than workers are known to fit
		return
	}
	r.limit, r.served = others, 0
	if r.probed {
		r.rounds = min(2*r.rounds, maxRounds)
	}
	r.probed = false
}

// left counts a worker that found a place and has ended its work. It reports whether that lifted the limit.
func (r *room) left() (lifted bool) {
	if r.limit == 0 {
		return false
	}
	if r.served++; r.served < r.rounds*r.limit {
		return false
	}
	if r.limit >= r.peak {
		*r = room{}
		return true
	}
	if r.probed { // the last rise was not refused
		r.rounds = 1
	}
	r.limit, r.served, r.probed = r.limit+1, 0, true
	return false
}
