package health

import (
	"testing"

	"github.com/google/go-cmp/cmp"
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
