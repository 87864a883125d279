package main

import (
	"testing"
	"time"
)

func costs(walls ...time.Duration) (all []cost) {
	for _, w := range walls {
		all = append(all, cost{wall: w})
	}
	return all
}

func TestRatioIsTakenWithinRounds(t *testing.T) {
	const s = time.Second
	for _, c := range []struct {
		name string
		a, b []cost
		want float64
	}{
		{"one round", costs(3 * s), costs(2 * s), 1.5},
		// The machine was three times as slow in the second round, for both.
		{"a slow round", costs(2*s, 6*s, 2*s), costs(s, 3*s, s), 2},
		{"fewer rounds", costs(4 * s), costs(s, 9*s, 9*s), 4},
		{"an even number", costs(2*s, 4*s), costs(s, s), 3},
		{"none", nil, costs(s), 0},
	} {
		if got := ratio(c.a, c.b); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

func TestSeconds(t *testing.T) {
	for _, c := range []struct {
		values []float64
		want   string
	}{
		{[]float64{1.234}, "1.23"},
		{[]float64{3, 1, 2}, "2.00 (1.00–3.00)"},
		{nil, "0.00"},
	} {
		if got := seconds(c.values); got != c.want {
			t.Errorf("%v: %q, want %q", c.values, got, c.want)
		}
	}
}

func TestLeastTime(t *testing.T) {
	for calls, want := range map[int]time.Duration{
		1: 0, 40: 0, 41: time.Second, 600: 14 * time.Second, 601: time.Minute, 5000: 8*time.Minute + 4*time.Second,
	} {
		if got := leastTime(calls); got != want {
			t.Errorf("%d calls: %s, want %s", calls, got, want)
		}
	}
}
