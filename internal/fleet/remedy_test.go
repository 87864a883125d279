package fleet

import (
	"fmt"
	"strings"
	"testing"
)

func TestIncompleteError(t *testing.T) {
	few, many := &IncompleteError{Missing: []string{"a", "b"}}, &IncompleteError{Missing: strings.Split("abcdefgh", "")}
	if got, want := few.Error(), "2 tenants exist but could not be read: a, b"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if got, want := many.Error(), "8 tenants exist but could not be read: a, b, c, d, e and 3 more"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if got := Remedy(fmt.Errorf("list tenants: %w", few)); got != "run again later" {
		t.Errorf("%q", got)
	}
	many.Fix = "ask somebody"
	if got := many.Remedy(); got != "run again later; if these tenants still cannot be read, ask somebody" {
		t.Errorf("%q", got)
	}
}

func TestRemedy(t *testing.T) {
	inner := WithRemedy(fmt.Errorf("broken"), "inner")
	for _, test := range []struct {
		err  error
		want string
	}{
		{nil, ""},
		{fmt.Errorf("broken"), ""},
		{fmt.Errorf("open: %w", inner), "inner"},
		{WithRemedy(fmt.Errorf("open: %w", inner), "outer"), "outer"},
		{fmt.Errorf("%w: %w", inner, WithRemedy(fmt.Errorf("x"), "second")), "inner"},
	} {
		if got := Remedy(test.err); got != test.want {
			t.Errorf("%v: %q, want %q", test.err, got, test.want)
		}
	}
	if WithRemedy(nil, "none") != nil {
		t.Error("a remedy for no error is an error")
	}
	if file, line := Location(inner); file != "" || line != 0 {
		t.Errorf("a location out of nothing: %s:%d", file, line)
	}
}
