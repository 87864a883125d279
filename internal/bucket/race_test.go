//go:build race

package bucket_test

// raceMemory is how much memory the race detector may add, in MiB.
const raceMemory = 256
