package bucket

const (
	maxParts    = 10_000  // of one upload: S3's limit
	maxPartSize = 5 << 30 // S3's limit
	// plannedParts is how many parts an object of the estimated size and a quarter more takes; the rest is for
	// estimates that were wrong by more.
	plannedParts = 9_000
	growEvery    = 100
)

// partSize returns the size of parts for an object of about so many bytes: 8 MiB up to 56 GiB, 0.7 GiB for 5 TiB.
func partSize(estimate int64) int64 {
	size := (estimate + estimate/4 + plannedParts - 1) / plannedParts
	size = (size + chunkSize - 1) / chunkSize * chunkSize
	return min(max(size, minPartSize), maxPartSize)
}

// grownSize returns the size of the nth part, counted from 1. Beyond the planned ones parts double every hundred, up to the
// largest there is; with equal parts, which some stores want (R2), never.
func grownSize(base int64, n int32, equal bool) int64 {
	if equal || n <= plannedParts {
		return base
	}
	doublings := (n - plannedParts + growEvery - 1) / growEvery
	return min(base<<min(doublings, 16), maxPartSize)
}
