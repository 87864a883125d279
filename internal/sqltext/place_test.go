package sqltext

import "testing"

func TestRuneOffset(t *testing.T) {
	text := "é\nselect x; \n"
	for runes, want := range map[int]int{-1: -1, 0: 0, 1: 2, 2: 3, 9: 10, 99: len("é\nselect x")} {
		if got := RuneOffset(text, runes); got != want {
			t.Errorf("RuneOffset(%d) = %d, want %d", runes, got, want)
		}
	}
	if line, column := LineColumn(text, 10); line != 2 || column != 8 {
		t.Errorf("got %d:%d", line, column)
	}
}
