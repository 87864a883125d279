package fleet

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestParseLimit(t *testing.T) {
	for _, test := range []struct {
		text, want string // what String gives back; empty: refused
		total      int
		allowed    int // the most failures of total that are within the limit
	}{
		{"0", "0", 10, 0},
		{"5", "5", 10, 5},
		{"5", "5", 3, 5},
		{"0%", "0%", 10, 0},
		{"10%", "10%", 10, 1},
		{"10%", "10%", 19, 1},
		{"10%", "10%", 20, 2},
		{"10 %", "10%", 9, 0},
		{"2.5%", "2.5%", 1000, 25},
		{"33.3%", "33.3%", 1000, 333},
		{"0.1%", "0.1%", 10_000, 10},
		{"100%", "100%", 7, 7},
	} {
		l, err := ParseLimit(test.text)
		if err != nil || l.String() != test.want {
			t.Errorf("%q: read as %q, %v", test.text, l, err)
		}
		if l.exceeded(test.allowed, test.total) || !l.exceeded(test.allowed+1, test.total) {
			t.Errorf("%q of %d: want %d failures to be allowed, and no more", test.text, test.total, test.allowed)
		}
	}
	for _, text := range []string{"", "%", "-1", "-1%", "101%", "100.1%", "NaN%", "Inf%", "1.5", "ten", "10%%", "% 10",
		"1e999%"} {
		if l, err := ParseLimit(text); err == nil {
			t.Errorf("%q is taken as %q", text, l)
		}
	}
	const want = `"half" is neither a count of 0 or more nor a percentage from 0% to 100%; write for example 5 or 10%`
	if _, err := ParseLimit("half"); err == nil || err.Error() != want {
		t.Errorf("the error reads %v", err)
	}
	if none := (Limit{}); none.String() != "" || none.exceeded(1_000_000, 1) {
		t.Error("the zero limit is a bound")
	}
}

func TestCanary(t *testing.T) {
	numbers := []Tenant{{Name: "acme", ID: "a"}, {Name: "2", ID: "b"}, {Name: "Smith, Jones", ID: "c"},
		{Name: "0", ID: "d"}, {Name: "!acme", ID: "7"}}
	for _, test := range []struct {
		text     string
		tenants  []Tenant
		canaries int
		want     []int // the tenants' numbers in their new order
		doubts   int
	}{
		{"", crowd(5), 0, []int{0, 1, 2, 3, 4}, 0},
		{" \n", crowd(5), 0, []int{0, 1, 2, 3, 4}, 0},
		{"2", crowd(5), 2, []int{0, 1, 2, 3, 4}, 0},
		{" 2\n", crowd(5), 2, []int{0, 1, 2, 3, 4}, 0},
		{"50", crowd(5), 5, []int{0, 1, 2, 3, 4}, 0},
		{"id-3,id-1", crowd(5), 2, []int{1, 3, 0, 2, 4}, 0},
		{"Tenant *\n!Tenant [0-2]", crowd(5), 2, []int{3, 4, 0, 1, 2}, 0},
		{"!Tenant [0-2]", crowd(5), 2, []int{3, 4, 0, 1, 2}, 0},
		{"*", crowd(5), 5, []int{0, 1, 2, 3, 4}, 0},
		{"nobody", crowd(5), 0, []int{0, 1, 2, 3, 4}, 0},
		{"[]", crowd(5), 0, []int{0, 1, 2, 3, 4}, 0},
		{"1\n2", crowd(5), 0, []int{0, 1, 2, 3, 4}, 0}, // names, not counts
		{`["Tenant 4"]`, crowd(5), 1, []int{4, 0, 1, 2, 3}, 0},
		// a number that is a tenant's name or id is that tenant
		{"2", numbers, 1, []int{1, 0, 2, 3, 4}, 1},
		{"7", numbers, 1, []int{4, 0, 1, 2, 3}, 1},
		{"0", numbers, 1, []int{3, 0, 1, 2, 4}, 0},
		{"02", numbers, 2, []int{0, 1, 2, 3, 4}, 0},
		{"3", numbers, 3, []int{0, 1, 2, 3, 4}, 0},
		{"Smith, Jones", numbers, 1, []int{2, 0, 1, 3, 4}, 0},
		{"!acme", numbers, 1, []int{4, 0, 1, 2, 3}, 1},
	} {
		before := slices.Clone(test.tenants)
		c, err := ResolveCanary(test.text, test.tenants)
		if err != nil {
			t.Fatal(err)
		}
		if c.Asked() != (strings.TrimSpace(test.text) != "") || len(c.Doubts) != test.doubts {
			t.Errorf("%q: asked %v, doubts %q", test.text, c.Asked(), c.Doubts)
		}
		got, canaries := c.Order(test.tenants)
		var want []Tenant
		for _, i := range test.want {
			want = append(want, test.tenants[i])
		}
		if diff := cmp.Diff(want, got); diff != "" || canaries != test.canaries {
			t.Errorf("%q: %d canaries, want %d; order (-want +got):\n%s", test.text, canaries, test.canaries, diff)
		}
		if diff := cmp.Diff(before, test.tenants); diff != "" {
			t.Fatalf("%q: Order changed what it was given:\n%s", test.text, diff)
		}
	}
	for text, want := range map[string]string{
		"0":   `"0" is not a count of 1 or more; write a count, or globs of tenant names`,
		"-3":  `"-3" is not a count of 1 or more; write a count, or globs of tenant names`,
		"a[b": `the pattern "a[b" has a [ without a ]; write \[ for a literal bracket`,
		"# 3": `names no tenant; write names, ids or globs such as acme-*, or "*" for every tenant`,
	} {
		if _, err := ResolveCanary(text, crowd(5)); err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
	const doubt = `"2" is the name or the id of a tenant, and so means that one; for a count, write 02`
	if c, err := ResolveCanary("2", numbers); err != nil || !slices.Equal(c.Doubts, []string{doubt}) {
		t.Errorf("doubts %q, %v", c.Doubts, err)
	}
}

func TestRunMaxFailures(t *testing.T) {
	all := []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}
	for _, test := range []struct {
		limit   string
		job     Job
		started int
		reason  []string
	}{
		{"", failing(all...), 10, nil},
		{"0", failing(3), 4, []string{"not started: 1 of 10 tenants failed, more than max-failures (0) allows"}},
		{"0", failing(9), 10, nil},
		{"1", failing(3), 10, nil},
		{"2", failing(all...), 3, []string{"not started: 3 of 10 tenants failed, more than max-failures (2) allows"}},
		{"10", failing(all...), 10, nil},
		{"0%", failing(0), 1, []string{"not started: 1 of 10 tenants failed, more than max-failures (0%) allows"}},
		{"20%", failing(1, 3), 10, nil},
		{"20%", failing(1, 3, 5), 6,
			[]string{"not started: 3 of 10 tenants failed, more than max-failures (20%) allows"}},
		{"25%", failing(1, 3, 5), 6,
			[]string{"not started: 3 of 10 tenants failed, more than max-failures (25%) allows"}},
		{"100%", failing(all...), 10, nil},
	} {
		t.Run(test.limit, func(t *testing.T) {
			var limit Limit
			if test.limit != "" {
				var err error
				if limit, err = ParseLimit(test.limit); err != nil {
					t.Fatal(err)
				}
			}
			results, w := observe(t.Context(), t, Plan{Tenants: crowd(10), Job: test.job}, Options{MaxFailures: limit})
			if len(w.started) != test.started {
				t.Errorf("%d were started, want %d: %s", len(w.started), test.started, states(results))
			}
			if diff := cmp.Diff(test.reason, reasons(results, Skipped)); diff != "" {
				t.Errorf("reasons (-want +got):\n%s", diff)
			}
		})
	}
}

func TestRunLetsRunningTenantsEndPastMaxFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limit, err := ParseLimit("0")
		if err != nil {
			t.Fatal(err)
		}
		job := func(_ context.Context, tenant Tenant, _ *slog.Logger) (Outcome, error) {
			if tenant.ID == "id-0" {
				return Outcome{}, errors.New("broken")
			}
			time.Sleep(time.Minute)
			return Outcome{}, nil
		}
		// The canaries' failures count too, and the reason that they stop the run is max-failures.
		results, w := observe(t.Context(), t, Plan{Tenants: crowd(9), Job: job, Waves: canaries(crowd(9), 4)},
			Options{Concurrency: 4, MaxFailures: limit})
		if len(w.started) < 1 || len(w.started) > 4 {
			t.Errorf("%d were started", len(w.started))
		}
		for _, r := range results[1:] {
			if r.State == Failed {
				t.Errorf("%s failed: %v", r.Tenant.ID, r.Err)
			}
		}
		const want = "1 of 9 tenants failed, more than max-failures (0) allows"
		for _, reason := range reasons(results, Skipped) { // a worker may have been slow to take up its canary
			if reason != "not started: "+want && reason != "not started: wave 2 of 2: "+want {
				t.Errorf("skipped because: %s", reason)
			}
		}
	})
}
