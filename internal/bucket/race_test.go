//go:build race

package bucket_test

// raceMemory is what the race detector adds, in MiB, at most.
const raceMemory = 256
