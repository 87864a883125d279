package words

import (
	"strconv"
	"testing"
)

func TestCount(t *testing.T) {
	for _, tt := range []struct {
		n         int
		one, many string
		want      string
	}{
		{0, "tenant", "tenants", "0 tenants"},
		{1, "tenant", "tenants", "1 tenant"},
		{2, "tenant", "tenants", "2 tenants"},
		{1, "table is", "tables are", "1 table is"},
		{12, "table is", "tables are", "12 tables are"},
	} {
		if got := Count(tt.n, tt.one, tt.many); got != tt.want {
			t.Errorf("Count(%d, %q, %q) = %q, want %q", tt.n, tt.one, tt.many, got, tt.want)
		}
	}
}

func TestList(t *testing.T) {
	for _, tt := range []struct {
		items []string
		most  int
		want  string
	}{
		{nil, 3, "none"},
		{nil, 0, "none"},
		{[]string{"a"}, 3, "a"},
		{[]string{"a", "b", "c"}, 3, "a, b, c"},
		{[]string{"a", "b", "c", "d"}, 3, "a, b, c and 1 more"},
		{[]string{"a", "b", "c", "d"}, 1, "a and 3 more"},
		{[]string{"a", "b", "c", "d"}, 0, "a, b, c, d"},
		{[]string{"a", "b"}, -1, "a, b"},
	} {
		if got := List(tt.items, tt.most); got != tt.want {
			t.Errorf("List(%q, %d) = %q, want %q", tt.items, tt.most, got, tt.want)
		}
	}
}

func TestListFuncQuotes(t *testing.T) {
	got := ListFunc([]string{"main", `a "b"`, "c"}, 2, strconv.Quote)
	if want := `"main", "a \"b\"" and 1 more`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestListFuncAsksOnlyForWhatItWrites(t *testing.T) {
	asked := 0
	one := func(int) string { asked++; return "x" }
	if got, want := ListFunc(make([]int, 5000), 2, one), "x, x and 4998 more"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if asked != 2 {
		t.Errorf("%d texts were made for a list of 2", asked)
	}
}

func TestClauses(t *testing.T) {
	for _, tt := range []struct {
		items []string
		most  int
		want  string
	}{
		{nil, 2, "none"},
		{[]string{"a, b"}, 2, "a, b"},
		{[]string{"a, b", "c"}, 2, "a, b; c"},
		{[]string{"a, b", "c", "d", "e"}, 2, "a, b; c; and 2 more"},
	} {
		if got := Clauses(tt.items, tt.most); got != tt.want {
			t.Errorf("Clauses(%q, %d) = %q, want %q", tt.items, tt.most, got, tt.want)
		}
	}
}

func TestOr(t *testing.T) {
	for _, c := range []struct {
		items []string
		want  string
	}{
		{nil, "none"}, {[]string{"a"}, "a"}, {[]string{"a", "b"}, "a or b"}, {[]string{"a", "b", "c"}, "a, b or c"},
	} {
		if got := Or(c.items); got != c.want {
			t.Errorf("Or(%q) = %q, want %q", c.items, got, c.want)
		}
	}
}
