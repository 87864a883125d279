package neon

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestWaitOperations(t *testing.T) {
	two := []Operation{{ID: "1", Action: "create_branch", Status: "running"},
		{ID: "2", Action: "start_compute", Status: "scheduling"}}
	for _, test := range []struct {
		name       string
		operations []Operation
		// ends is when each operation gets the status; until then it is running
		ends   map[string]time.Duration
		status string
		cancel time.Duration
		calls  int
		took   time.Duration
		says   string
		remedy string
	}{
		{name: "none"},
		{name: "done at once", operations: []Operation{{ID: "1", Status: "finished"}, {ID: "2", Status: "skipped"}}},
		{name: "the second is done with the first", operations: two, ends: map[string]time.Duration{},
			status: "finished", calls: 1, took: time.Second},
		{name: "skipped", operations: two[:1], status: "skipped", calls: 1, took: time.Second},
		// 1 + 1.5 + 2.25 + 3.375 s, one call each
		{name: "slow", operations: two, ends: map[string]time.Duration{"1": 4 * time.Second, "2": 5 * time.Second},
			status: "finished", calls: 4,
			took: 4750*time.Millisecond + 3375*time.Millisecond},
		{name: "failed", operations: two, status: "failed", calls: 1, took: time.Second,
			says: "operation create_branch (1) of project p ended as failed: out of space", remedy: "run again"},
		{name: "error", operations: two[:1], status: "error", calls: 1, took: time.Second,
			says: "ended as error: out of space", remedy: "support"},
		{name: "cancelled", operations: []Operation{{ID: "1", Action: "create_branch", Status: "cancelled"}},
			says: "ended as cancelled", remedy: "support"},
		{name: "cancelling is not the end", operations: []Operation{{ID: "1", Action: "a", Status: "cancelling"}},
			status: "cancelled", calls: 1, took: time.Second,
			says: "ended as cancelled", remedy: "support"},
		{name: "too slow", operations: two, ends: map[string]time.Duration{"1": time.Hour}, calls: 62,
			took: 300 * time.Second,
			says: "operation create_branch (1) of project p is still running after 5m0s", remedy: "longer than usual"},
		{name: "stopped", operations: two, ends: map[string]time.Duration{"1": time.Hour}, cancel: 10 * time.Second,
			calls: 4, took: 10 * time.Second,
			says: "wait for operation create_branch of project p: by hand"},
	} {
		t.Run(test.name, func(t *testing.T) {
			var start time.Time
			fakeClock(t, func(w http.ResponseWriter, r *http.Request) {
				now := func(id string) object {
					if time.Since(start) >= test.ends[id] {
						return object{"id": id, "status": test.status, "error": "out of\nspace"}
					}
					return object{"id": id, "status": "running"}
				}
				if id := r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:]; id != "operations" {
					reply(w, object{"operation": now(id)})
					return
				}
				list := []object{{"id": "0", "status": "failed"}} // of an earlier change
				for _, o := range test.operations {
					list = append(list, now(o.ID))
				}
				reply(w, object{"operations": list})
			}, func(t *testing.T, client *Client, calls *[]string) {
				ctx, cancel := context.WithCancelCause(t.Context())
				defer cancel(nil)
				if test.cancel > 0 {
					time.AfterFunc(test.cancel, func() { cancel(errors.New("by hand")) })
				}
				start = time.Now()
				err := client.WaitOperations(ctx, "p", test.operations)
				if took := time.Since(start); took != test.took || len(*calls) != test.calls {
					t.Errorf("%d calls, %s; want %d, %s", len(*calls), took, test.calls, test.took)
				}
				if (test.says == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), test.says) {
					t.Fatalf("error is %v, want one that says %q", err, test.says)
				}
				var e *OperationError
				if errors.As(err, &e) != (test.remedy != "") || e != nil && !strings.Contains(e.Remedy(), test.remedy) {
					t.Errorf("%v lacks the remedy %q", e, test.remedy)
				}
			})
		})
	}
}

func TestWaitOperationsPassesRefusalsOn(t *testing.T) {
	fakeClock(t, func(w http.ResponseWriter, _ *http.Request) { fail(w, 404, "operation not found") },
		func(t *testing.T, client *Client, _ *[]string) {
			err := client.WaitOperations(t.Context(), "p", []Operation{{ID: "1", Action: "create_branch"}})
			if !IsStatus(err, 404) || !strings.Contains(err.Error(), "wait for operation create_branch of project p: ") {
				t.Errorf("%v", err)
			}
		})
}
