package migration

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/org/neon-tenants-action/internal/postgres"
)

// sampleEvery is how often the locks of a statement that runs alone are looked at.
const sampleEvery = 10 * time.Millisecond

// sample is when a lock was seen first and last, by the server's clock, and its strongest mode.
type sample struct {
	mode        int
	first, last time.Duration
}

// sampler looks at the locks of one session from another one.
type sampler struct {
	quit chan struct{}
	done chan struct{}
	seen map[uint32]sample
	err  error // why it could not look until it was stopped
}

func (s *sampler) start(ctx context.Context, watched *postgres.Conn) error {
	c, err := postgres.Connect(ctx, watched.Target(), postgres.Options{ReadOnly: true})
	if err != nil {
		return err
	}
	s.quit, s.done, s.seen = make(chan struct{}), make(chan struct{}), map[uint32]sample{}
	query := fmt.Sprintf(sampleQuery, watched.Backend())
	go func() {
		defer close(s.done)
		defer c.Close()
		tick := time.NewTicker(sampleEvery)
		defer tick.Stop()
		for last := false; ; {
			answers, err := c.Results(ctx, query)
			if err == nil {
				err = s.add(answers[0])
			}
			if err != nil && ctx.Err() == nil {
				s.err = err
			}
			if err != nil || last {
				return
			}
			select {
			case <-s.quit: // one more look tells whether it could look until now
				last = true
			case <-tick.C:
			}
		}
	}()
	return nil
}

// sampleQuery returns another session's strong locks and the time. It must not ask for a size, which would wait for the
// very lock.
var sampleQuery = "select l.relation::bigint, pg_catalog.array_position('{" + strings.Join(lockModes, ",") +
	"}', l.mode) - 1, " + microseconds + ` from pg_catalog.pg_locks l
where l.pid = %s and l.locktype = 'relation' and l.granted and l.mode in ('` + strings.Join(lockModes, "', '") + `')
	and l.database = (select oid from pg_catalog.pg_database where datname = pg_catalog.current_database())`

func (s *sampler) add(rows [][][]byte) error {
	for _, row := range rows {
		oid, err := strconv.ParseUint(string(row[0]), 10, 32)
		if err != nil {
			return err
		}
		mode, err := strconv.Atoi(string(row[1]))
		if err != nil {
			return err
		}
		at, err := parseTime(row[2])
		if err != nil {
			return err
		}
		one, seen := s.seen[uint32(oid)]
		if !seen || mode > one.mode {
			one.mode, one.first = mode, at
		}
		if mode >= one.mode {
			one.last = at
		}
		s.seen[uint32(oid)] = one
	}
	return nil
}

// stop returns the locks that were seen, or why they are not known: a sampler that ended early has seen too few of
// them, or for too short a time.
func (s *sampler) stop() (map[uint32]sample, error) {
	close(s.quit)
	<-s.done
	return s.seen, s.err
}
