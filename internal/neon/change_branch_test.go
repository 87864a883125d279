package neon

import (
	"cmp"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// restoration is a server on which the branch br is restored. A restore that preserves it takes the name old.
type restoration struct {
	faults   []string // what happens to the first POSTs: drop, lose (the answer), or a refusal of that status
	sent     []string
	restores int
	taken    bool   // old
	ends     string // how the operation of a restore does: finished if empty
}

func (s *restoration) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.Method == http.MethodPost:
		body, _ := io.ReadAll(r.Body)
		s.sent = append(s.sent, string(body))
		s.restore(w, strings.Contains(string(body), "preserve_under_name"))
	case strings.Contains(r.URL.Path, "/operations"):
		one := object{"id": "1", "status": cmp.Or(s.ends, "finished"), "action": "create_branch", "branch_id": "br",
			"created_at": time.Now()}
		reply(w, object{"operation": one, "operations": []object{one}})
	case s.taken:
		reply(w, object{"branches": []object{{"id": "br-old", "name": "old", "created_at": time.Now()}}})
	default:
		reply(w, object{"branches": []object{}})
	}
}

func (s *restoration) restore(w http.ResponseWriter, preserve bool) {
	fault := ""
	if n := len(s.sent); n <= len(s.faults) {
		fault = s.faults[n-1]
	}
	switch {
	case fault == "drop":
		panic(http.ErrAbortHandler)
	case fault == "422":
		fail(w, http.StatusUnprocessableEntity, notReady)
		return
	case fault == "400":
		fail(w, http.StatusBadRequest, "too long ago")
		return
	case preserve && s.taken:
		fail(w, http.StatusConflict, "branch already exists")
		return
	}
	s.restores++
	s.taken = s.taken || preserve
	if fault == "lose" {
		panic(http.ErrAbortHandler)
	}
	reply(w, object{"branch": object{"id": "br"}, "operations": []object{{"id": "1", "action": "create_branch",
		"status": "running"}}})
}

// Whatever happens to the call, a restore that preserves the branch is done once, and one that does not is done.
func TestRestoreThroughEveryFault(t *testing.T) {
	for _, test := range []struct {
		name     string
		faults   []string
		preserve string
		ends     string
		restores int
		posts    int
		says     string
	}{
		{name: "no fault", restores: 1, posts: 1},
		{name: "no fault, preserved", preserve: "old", restores: 1, posts: 1},
		{name: "dropped before", faults: []string{"drop", "drop"}, preserve: "old", restores: 1, posts: 3},
		{name: "dropped after", faults: []string{"lose"}, restores: 2, posts: 2},
		{name: "dropped after, preserved", faults: []string{"lose"}, preserve: "old", restores: 1, posts: 2},
		{name: "dropped after, and not ready then", faults: []string{"lose", "422"}, preserve: "old", restores: 1, posts: 3},
		{name: "dropped after, preserved, and failed", faults: []string{"lose"}, preserve: "old", ends: "failed", restores: 1,
			posts: 2, says: "restore branch br of project p: its answer was lost: Neon has begun it, and does not say that it " +
				"succeeded"},
		{name: "failed", preserve: "old", ends: "failed", restores: 1, posts: 1,
			says: "restore branch br of project p: operation create_branch (1) of project p ended as failed"},
		{name: "not ready", faults: []string{"422", "422"}, restores: 1, posts: 3},
		{name: "refused", faults: []string{"400"}, posts: 1,
			says: "restore branch br of project p: POST /projects/p/branches/br/restore: 400 Bad Request: too long ago"},
		{name: "never answered", faults: []string{"drop", "drop", "drop"}, posts: 3,
			says: "restore branch br of project p: it is not known whether Neon has done it: POST "},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := &restoration{faults: test.faults, ends: test.ends}
			fakeClock(t, s.ServeHTTP, func(t *testing.T, client *Client, _ *[]string) {
				err := client.RestoreBranch(t.Context(), "p", "br", Restore{SourceID: "main", PreserveAs: test.preserve})
				if (err == nil) != (test.says == "") || err != nil && !strings.Contains(err.Error(), test.says) {
					t.Errorf("error is %v, want one that says %q", err, test.says)
				}
				if s.restores != test.restores || len(s.sent) != test.posts {
					t.Errorf("%d restores after %d POSTs, want %d after %d", s.restores, len(s.sent), test.restores, test.posts)
				}
			})
		})
	}
}

func TestRestoreAsksForAPoint(t *testing.T) {
	at := time.Date(2026, 11, 22, 13, 0, 0, 5000, time.FixedZone("", 3600))
	for _, test := range []struct {
		restore Restore
		sent    string
	}{
		{Restore{SourceID: "main"}, `{"source_branch_id":"main"}`},
		{Restore{SourceID: "br", At: at, PreserveAs: "old"},
			`{"source_branch_id":"br","source_timestamp":"2026-11-22T12:00:00.000005Z","preserve_under_name":"old"}`},
	} {
		s := &restoration{}
		fakeClock(t, s.ServeHTTP, func(t *testing.T, client *Client, _ *[]string) {
			if err := client.RestoreBranch(t.Context(), "p", "br", test.restore); err != nil || s.sent[0] != test.sent {
				t.Errorf("%v; sent %s, want %s", err, s.sent[0], test.sent)
			}
		})
	}
}

// A name that was taken before is not mistaken for that of a restore whose answer was lost.
func TestRestoreRefusesANameThatIsTaken(t *testing.T) {
	s := &restoration{taken: true, faults: []string{"drop"}}
	fakeClock(t, s.ServeHTTP, func(t *testing.T, client *Client, _ *[]string) {
		err := client.RestoreBranch(t.Context(), "p", "br", Restore{SourceID: "main", PreserveAs: "old"})
		var exists *ExistsError
		if !errors.As(err, &exists) || exists.ID != "br-old" || len(s.sent) > 0 {
			t.Errorf("%v after %d POSTs", err, len(s.sent))
		}
	})
}

func TestExpireBranch(t *testing.T) {
	for _, test := range []struct {
		at   time.Time
		sent string
	}{
		{
			time.Date(2026, 11, 22, 13, 0, 0, 999, time.FixedZone("", 3600)),
			`{"branch":{"expires_at":"2026-11-22T12:00:00Z"}}`,
		},
		{time.Time{}, `{"branch":{"expires_at":null}}`},
	} {
		var sent []string
		fakeClock(t, func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			if sent = append(sent, r.Method+" "+string(body)); len(sent) == 1 {
				panic(http.ErrAbortHandler) // a change that is made twice does no harm
			}
			reply(w, object{"branch": object{"id": "br"}, "operations": []object{}})
		}, func(t *testing.T, client *Client, _ *[]string) {
			err := client.ExpireBranch(t.Context(), "p", "br", test.at)
			if err != nil || len(sent) != 2 || sent[1] != "PATCH "+test.sent {
				t.Errorf("%v; sent %v, want %s", err, sent, test.sent)
			}
		})
	}
}

// If the context ends while Neon has the request, the error says that the restore may have been done.
func TestRestoreStops(t *testing.T) {
	fakeClock(t, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.ReadAll(r.Body) // from then on the server notices that the client hangs up
		<-r.Context().Done()
	}, func(t *testing.T, client *Client, _ *[]string) {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		err := client.RestoreBranch(ctx, "p", "br", Restore{SourceID: "main"})
		if !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "it is not known whether") {
			t.Errorf("%v", err)
		}
	})
}
