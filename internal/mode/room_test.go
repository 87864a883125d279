package mode

import (
	"math/rand/v2"
	"testing"
)

// crowdedServer takes a number of workers that changes, and refuses the rest.
type crowdedServer struct {
	room, active int
	limit        room
	refusals     int
	lifted       int
}

// join has as many workers join as may and are there to.
func (s *crowdedServer) join(concurrency int) {
	for s.active < concurrency && s.limit.fits(s.active) {
		if s.active++; s.active > s.room {
			s.active--
			s.refusals++
			if s.active == 0 {
				return // it is alone, and asks again
			}
			s.limit.refused(s.active)
		}
	}
}

// leave has one worker end its work.
func (s *crowdedServer) leave() {
	if s.active == 0 {
		return
	}
	s.active--
	if s.limit.left() {
		s.lifted++
	}
}

// The limit is that of the server for as long as it has one, and few of hundreds of workers are refused.
func TestRoomFindsTheServersOwn(t *testing.T) {
	for _, c := range []struct{ concurrency, before, after, served, limit, refusals int }{
		{32, 3, 3, 700, 3, 40},
		{32, 1, 1, 200, 1, 40},
		{32, 31, 31, 2000, 31, 12},
		{32, 3, 32, 700, 0, 20},   // other sessions leave
		{32, 3, 1000, 700, 0, 20}, // the server is given more
		{32, 20, 5, 400, 5, 40},   // other sessions come
		{8, 2, 6, 400, 6, 40},
	} {
		s := &crowdedServer{room: c.before}
		for range c.served {
			s.join(c.concurrency)
			s.leave()
		}
		low := s.limit.limit
		if low > c.before+1 || low < c.before {
			t.Errorf("%+v: the limit is %d before", c, low)
		}
		s.room, s.refusals = c.after, 0
		for s.active > s.room {
			s.leave()
		}
		for range c.served {
			s.join(c.concurrency)
			s.leave()
		}
		if got := s.limit.limit; got != c.limit && got != c.limit+1 || s.refusals > c.refusals {
			t.Errorf("%+v: the limit is %d, %d refusals", c, got, s.refusals)
		}
	}
}

// Whatever happens, one worker may always work, none more than have been refused at once, and the limit goes when it no
// longer matters.
func TestRoomNeverCloses(t *testing.T) {
	for seed := range uint64(100) {
		random := rand.New(rand.NewPCG(seed, 1))
		concurrency := 1 + random.IntN(40)
		s := &crowdedServer{room: random.IntN(concurrency + 5)}
		for range 400 {
			switch random.IntN(12) {
			case 0:
				s.room = random.IntN(concurrency + 5)
			case 1, 2, 3, 4, 5:
				s.join(concurrency)
			default:
				s.leave()
			}
			if r := s.limit; r.peak > concurrency || r.limit > r.peak || r.limit < 0 || !r.fits(0) {
				t.Fatalf("seed %d: %+v of %d", seed, r, concurrency)
			}
		}
		s.room = concurrency
		for range 2 * maxRounds * concurrency * concurrency {
			s.join(concurrency)
			s.leave()
		}
		if s.limit.limit != 0 {
			t.Fatalf("seed %d: %+v of %d remains", seed, s.limit, concurrency)
		}
	}
}
