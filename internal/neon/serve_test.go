package neon

import (
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/org/neon-tenants-action/internal/httpx"
	"github.com/org/neon-tenants-action/internal/servertest"
)

// fakeClock runs test under a fake clock, with a client of a server that answers with handler. Each call is recorded as
// its method and its path under the API's address.
func fakeClock(
	t *testing.T, handler func(w http.ResponseWriter, r *http.Request),
	test func(t *testing.T, client *Client, calls *[]string),
) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var calls []string
		transport, stop := servertest.ServePipes(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			mu.Lock()
			calls = append(calls, r.Method+" "+strings.TrimPrefix(r.URL.Path, "/api/v2"))
			mu.Unlock()
			handler(w, r)
		}))
		base := httpx.New(httpx.Options{Base: transport})
		test(t, New(Options{BaseURL: "http://neon.test/api/v2", Key: testKey, HTTP: base.HTTP()}), &calls)
		stop()
		time.Sleep(time.Minute) // whatever is still under way comes to its end
	})
}
