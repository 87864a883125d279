package mode

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/org/neon-tenants-action/internal/deadline"
	"github.com/org/neon-tenants-action/internal/postgres"
)

var errStarting = &pgconn.PgError{Code: "57P03", Message: "the database system is starting up"}

// starting is a server that takes connections after a while.
type starting struct {
	ready time.Time
	tries atomic.Int64
}

// dial connects as postgres.Connect does: it tries again once a second for a minute, unless its caller waits.
func (s *starting) dial(ctx context.Context) func(postgres.Options) (*postgres.Conn, error) {
	return func(o postgres.Options) (*postgres.Conn, error) {
		for range 60 {
			if s.tries.Add(1); !time.Now().Before(s.ready) {
				return &postgres.Conn{}, nil
			}
			if o.Starting() {
				break
			}
			select {
			case <-ctx.Done():
				return nil, ctx.Err()
			case <-time.After(time.Second):
			}
		}
		return nil, errStarting
	}
}

// While a server starts, one worker of many tries to connect, which is said once and is no tenant's time.
func TestOneWorkerTriesWhileAServerStarts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var said []string
		var mu sync.Mutex
		note := func(text string) {
			mu.Lock()
			defer mu.Unlock()
			said = append(said, text)
		}
		w := Workers{Notice: note, Say: note}
		s := starting{ready: time.Now().Add(20 * time.Second)}
		var all sync.WaitGroup
		for range 32 {
			all.Go(func() {
				ctx, cancel := deadline.Context(t.Context(), 5*time.Second, errors.New("late"))
				defer cancel()
				one, err := w.Enter(ctx, "h:1")
				if err != nil {
					t.Error(err)
					return
				}
				defer one.Leave()
				if _, err := one.Connect(ctx, postgres.Options{}, s.dial(ctx)); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if n := s.tries.Load(); n != 32+20+31 { // each once, the leader once a second, the others once more
			t.Errorf("%d tries", n)
		}
		if len(said) != 2 || !strings.Contains(said[0], "is starting up") || !strings.Contains(said[1], "again") {
			t.Errorf("%q", said)
		}
	})
}

// A server that never starts fails every worker within the time that two would take, and one worker waits for nobody.
func TestAServerThatNeverStarts(t *testing.T) {
	for _, workers := range []int{1, 32} {
		synctest.Test(t, func(t *testing.T) {
			var w Workers
			s := starting{ready: time.Now().Add(24 * time.Hour)}
			began := time.Now()
			var all sync.WaitGroup
			for range workers {
				all.Go(func() {
					one, err := w.Enter(t.Context(), "h:1")
					if err != nil {
						t.Error(err)
						return
					}
					defer one.Leave()
					if _, err := one.Connect(t.Context(), postgres.Options{}, s.dial(t.Context())); !postgres.StartingUp(err) {
						t.Error(err)
					}
				})
			}
			all.Wait()
			if took := time.Since(began); took > 2*startPatience {
				t.Errorf("%d workers took %s", workers, took)
			}
		})
	}
}
