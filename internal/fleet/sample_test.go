package fleet_test

import (
	"testing"

	"github.com/org/neon-tenants-action/internal/fleet"
)

func TestSample(t *testing.T) {
	for _, c := range []struct {
		text  string
		total int
		want  int
	}{
		{"5%", 400, 20}, {"5%", 3, 1}, {"5%", 0, 0}, {"0.1%", 1, 1}, {"100%", 7, 7}, {"3", 2, 2}, {"3", 20, 3},
	} {
		s, err := fleet.ParseSample(c.text)
		if got := s.Of(c.total); err != nil || got != c.want || s.String() != c.text {
			t.Errorf("%s of %d is %d, %v", c.text, c.total, got, err)
		}
	}
	for _, text := range []string{"0", "0%", "-1", "101%", "many", ""} {
		if s, err := fleet.ParseSample(text); err == nil {
			t.Errorf("%q is %v", text, s)
		}
	}
}
