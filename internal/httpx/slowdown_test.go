package httpx

import (
	"math/rand/v2"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// However many calls a server refuses, and for however long, the client tells of it once, and once that it is over.
func TestASlowdownIsToldOnce(t *testing.T) {
	for name, account := range map[string]Limit{"paced": perMinute, "held": {}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var mu sync.Mutex
				random, began, refused := rand.New(rand.NewPCG(1, 2)), time.Now(), 0
				transport := serve(t, func(w http.ResponseWriter, _ *http.Request) {
					mu.Lock()
					defer mu.Unlock()
					if time.Since(began) < 5*time.Minute && random.IntN(5) == 0 {
						refused++
						w.Header().Set("Retry-After", "2")
						w.WriteHeader(http.StatusTooManyRequests)
					}
				})
				var told []Slowdown
				waits := 0
				client := New(Options{Account: account, PerRoute: perSecond, Base: transport,
					OnWait: func(time.Duration, string) { waits++ },
					OnSlow: func(s Slowdown) { told = append(told, s) }})
				took := flood(t, client.HTTP(), 32, 700, numbered)
				time.Sleep(20 * time.Minute)
				flood(t, client.HTTP(), 1, 1, numbered)
				t.Logf("700 calls took %s, %d were refused: %+v", took, refused, told)
				if refused < 20 || len(told) != 2 || told[0].Over || !told[1].Over || told[0].Hold < time.Second ||
					(told[1].PerMinute > 0) != (account.Calls > 0) || told[1].PerMinute >= perMinute.Calls {
					t.Errorf("%d refused, told %+v", refused, told)
				}
				if account.Calls == 0 && waits > 0 {
					t.Errorf("told of %d waits", waits)
				}
			})
		})
	}
}
