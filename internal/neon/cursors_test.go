package neon

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

// A list whose cursors go in circles is an error, and not a complete list.
func TestRepeatedCursors(t *testing.T) {
	for name, list := range map[string]func(*testing.T, *Client) error{
		"operations": func(t *testing.T, c *Client) error {
			_, err := c.operationsSince(t.Context(), "p", time.Time{})
			return err
		},
		"branches": func(t *testing.T, c *Client) error {
			_, err := c.Branches(t.Context(), "p", "")
			return err
		},
	} {
		fakeClock(t, func(w http.ResponseWriter, _ *http.Request) {
			reply(w, object{
				"operations": []object{{"id": "1", "created_at": time.Now()}}, "branches": []object{{"id": "br"}},
				"pagination": object{"cursor": "x", "next": "x"},
			})
		}, func(t *testing.T, client *Client, _ *[]string) {
			const want = `the cursor "x" was returned twice, so the list would never end`
			if err := list(t, client); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v", name, err)
			}
		})
	}
}
