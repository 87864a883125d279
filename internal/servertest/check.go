package servertest

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// Equal reports how two values differ.
func Equal(t testing.TB, what string, got, want any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// WaitFor polls for something that another goroutine or the server brings about, and gives up after a minute, which is
// more than a busy machine takes.
func WaitFor(t testing.TB, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("did not happen within a minute")
		}
	}
}
