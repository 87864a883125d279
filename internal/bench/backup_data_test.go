package main

import (
	"bytes"
	"strings"
	"testing"
)

func TestSampleTablesAreTheSameEveryTime(t *testing.T) {
	const size = 64 << 10
	for _, table := range sampleTables {
		var first, second bytes.Buffer
		for _, out := range []*bytes.Buffer{&first, &second} {
			if err := table.write(out, size); err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.Equal(first.Bytes(), second.Bytes()) {
			t.Errorf("%s: two runs differ", table.name)
		}
		if n := first.Len(); n < size || n > size+4<<10 {
			t.Errorf("%s: %d bytes, want about %d", table.name, n, size)
		}
		columns := strings.Count(strings.ReplaceAll(table.columns, "(12,2)", ""), ",") + 1
		for line := range strings.Lines(first.String()) {
			if got := strings.Count(line, "\t") + 1; got != columns {
				t.Fatalf("%s: a row has %d columns, want %d: %s", table.name, got, columns, line)
			}
		}
	}
	share := 0
	for _, table := range sampleTables {
		share += table.share
	}
	if share != 100 {
		t.Errorf("the tables' shares add up to %d %%", share)
	}
}
