package health

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/org/neon-tenants-action/internal/fingerprint"
)

// What differs by its fingerprint and not by its description has changed in between.
func TestChangedInBetween(t *testing.T) {
	c := compared{
		sets:        compareSchemas(seen("a x", "b x", "c x", "d y", "e y", "f z"), ""),
		differences: map[schemaPair][]string{{"x", "y"}: nil, {"x", "z"}: {"+ table t"}},
	}
	var names []string
	for _, o := range c.changed() {
		names = append(names, o.Name)
	}
	if diff := cmp.Diff([]string{"a", "d", "e"}, names); diff != "" {
		t.Errorf("to look at again (-want +got):\n%s", diff)
	}
	c.joinEqual()
	if diff := cmp.Diff([]string{"a", "b", "c", "d", "e"}, c.sets[0].norm.names()); diff != "" ||
		len(c.sets[0].others) != 1 {
		t.Errorf("the norm (-want +got):\n%s\nand %d others", diff, len(c.sets[0].others))
	}
	c.differences = nil // too many groups to describe
	if again := c.changed(); len(again) > 0 {
		t.Errorf("%v is looked at again", again)
	}
}

func TestWhileItChanges(t *testing.T) {
	dropped := &pgconn.PgError{Code: "XX000", Message: "could not open relation with OID 1"}
	for name, c := range map[string]struct {
		errs  []error // of each look
		looks int
		fails bool
	}{
		"quiet":         {[]error{nil}, 1, false},
		"changed once":  {[]error{fingerprint.ErrChanged, nil}, 2, false},
		"dropped once":  {[]error{dropped, nil}, 2, false},
		"always":        {[]error{dropped, dropped, dropped, dropped, dropped, nil}, 5, true},
		"another error": {[]error{errors.New("gone")}, 1, true},
	} {
		looks := 0
		_, err := whileItChanges(func() (int, error) { looks++; return looks, c.errs[looks-1] })
		if looks != c.looks || (err != nil) != c.fails {
			t.Errorf("%s: %d looks, %v", name, looks, err)
		}
	}
}
