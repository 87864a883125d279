package records

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestNext(t *testing.T) {
	at := time.Date(2026, 11, 27, 18, 0, 0, 0, time.UTC)
	files := Set{"1": "one", "2": "two", "3": "three"}
	earlier := Set{"1": "one before"}
	old := Record{Place: "here", CurrentAt: at.Add(-time.Hour), Files: "f", Applied: earlier.Digest(), Version: "1"}
	for name, c := range map[string]struct {
		old     Record
		applied Set
		seen    Seen
		want    Set  // as applied
		current bool // something is known of the present
	}{
		"adopted silently": {seen: Seen{Place: "here", At: at, Version: "3"}, want: files, current: true},
		"applied before as it was, and now as it is": {old, earlier,
			Seen{Place: "here", At: at, Version: "3", Ran: []string{"2", "3"}},
			Set{"1": "one before", "2": "two", "3": "three"}, true},
		"run again after it was taken back": {old, earlier,
			Seen{Place: "here", At: at, Version: "3", Ran: []string{"1", "2", "3"}}, files, true},
		"failed on the way": {old, earlier,
			Seen{Place: "here", At: at, Version: "2", Failed: true, Ran: []string{"2"}, Pending: []string{"3"}},
			Set{"1": "one before", "2": "two"}, false},
		"not reached":                           {old, earlier, Seen{Place: "here", Failed: true}, earlier, false},
		"another database":                      {old, earlier, Seen{Place: "there", At: at, Version: "3"}, files, true},
		"another database that was not reached": {old, earlier, Seen{Place: "there", Failed: true}, nil, false},
		"recorded without a file": {old, Set{"0": "zero", "1": "one"},
			Seen{Place: "here", At: at, Version: "3", Unknown: []string{"0"}},
			Set{"0": "zero", "1": "one", "2": "two", "3": "three"}, true},
		"by the database's own record": {old, earlier,
			Seen{Place: "here", At: at, Version: "3", Ran: []string{"3"}, Edited: Set{"2": "two before"}},
			Set{"1": "one", "2": "two before", "3": "three"}, true},
		"by its own, of which a run knows nothing yet": {Record{}, nil,
			Seen{Place: "here", At: at, Version: "3", Edited: Set{"2": "two before"}},
			Set{"1": "one", "2": "two before", "3": "three"}, true},
		"nothing recorded any more": {old, earlier,
			Seen{Place: "here", At: at, Failed: true, Pending: []string{"1", "2", "3"}}, Set{}, false},
	} {
		t.Run(name, func(t *testing.T) {
			c.seen.Clock = c.seen.At.Add(10 * time.Second)
			r, applied := Next(c.old, c.applied, files, c.seen)
			if diff := cmp.Diff(c.want, applied); diff != "" {
				t.Errorf("as applied (-want +got):\n%s", diff)
			}
			want := Record{Place: c.seen.Place}
			if c.want != nil {
				want.Applied = c.want.Digest()
			}
			if c.current {
				want.CurrentAt, want.Files, want.Version = at, files.Digest(), c.seen.Version
			}
			if diff := cmp.Diff(want, r); diff != "" {
				t.Errorf("record (-want +got):\n%s", diff)
			}
		})
	}
}

func TestEdited(t *testing.T) {
	files := Set{"1": "one", "2": "two", "3": "three"}
	for name, c := range map[string]struct {
		applied Set
		want    []string
	}{
		"nothing is recorded":      {nil, nil},
		"as they are":              {files, nil},
		"edited":                   {Set{"1": "x", "2": "two", "3": "y"}, []string{"1", "3"}},
		"recorded without a file":  {Set{"0": "zero"}, nil},
		"not applied, and so free": {Set{"1": "one"}, nil},
	} {
		if diff := cmp.Diff(c.want, Edited(c.applied, files)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}
