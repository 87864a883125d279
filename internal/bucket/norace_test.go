//go:build !race

package bucket_test

const raceMemory = 0
