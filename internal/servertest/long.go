package servertest

import (
	"hash/fnv"
	"testing"
)

// Long marks a test of several seconds. All of them are minutes, which .ci/run has not got.
func Long(t testing.TB) {
	t.Helper()
	if testing.Short() {
		t.Skip("takes seconds; make test runs it")
	}
}

// OneOf marks a case of a test that has many of a kind: with -short, one in n is run, always the same.
func OneOf(t testing.TB, n uint32) {
	t.Helper()
	name := fnv.New32a()
	_, _ = name.Write([]byte(t.Name())) // a hash never fails to write
	if testing.Short() && name.Sum32()%n != 0 {
		t.Skip("one of many; make test runs it")
	}
}
