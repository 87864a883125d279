package neon

import (
	"net/http"
	"strings"
	"testing"
)

func TestDelete(t *testing.T) {
	for _, test := range []struct {
		name  string
		fails []int // statuses of the first answers; 0 drops
		last  int
		calls int
		says  string
	}{
		{"there", nil, 200, 1, ""},
		{"gone", nil, 204, 1, ""},
		{"gone, to a proxy", nil, 404, 1, ""},
		{"busy", []int{423, 503}, 200, 3, ""},
		{"dropped, 524", []int{0, 524}, 204, 3, ""},
		{"dropped for ever", []int{0, 0, 0, 0}, 200, 3, "EOF"},
		{"refused", nil, 422, 1, "cannot delete"},
	} {
		t.Run(test.name, func(t *testing.T) {
			fails := test.fails
			fakeClock(t, func(w http.ResponseWriter, _ *http.Request) {
				status := test.last
				if len(fails) > 0 {
					status, fails = fails[0], fails[1:]
				}
				switch status {
				case 0:
					panic(http.ErrAbortHandler)
				case 200:
					reply(w, object{"branch": object{}})
				case 204:
					w.WriteHeader(status)
				default:
					fail(w, status, "cannot delete")
				}
			}, func(t *testing.T, client *Client, calls *[]string) {
				err := client.DeleteBranch(t.Context(), "p", "br")
				if (err == nil) != (test.says == "") || err != nil && !strings.Contains(err.Error(), test.says) {
					t.Errorf("%v", err)
				}
				if len(*calls) != test.calls || (*calls)[0] != "DELETE /projects/p/branches/br" {
					t.Errorf("calls %v, want %d", *calls, test.calls)
				}
			})
		})
	}
	a, client := newAPI(t, func(w http.ResponseWriter, _ *http.Request) { reply(w, object{"project": object{}}) })
	if err := client.DeleteProject(t.Context(), "p"); err != nil || a.calls[0] != "/api/v2/projects/p" {
		t.Errorf("%v, %v", err, a.calls)
	}
}
