package bucket

// S3's limits on a multipart upload: https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html.
const (
	maxParts    = 10_000
	maxPartSize = 5 << 30 // bytes
)

const (
	// plannedParts is how many parts an object takes that is a quarter larger than estimated. The remaining ones are
	// for estimates that were even further off.
	plannedParts = 9_000
	// growthInterval is after how many parts beyond the planned ones the size of parts doubles.
	growthInterval = 100
)

// partSize returns the size of parts, in bytes, for an object of about estimate bytes: 8 MiB for up to 56 GiB, 0.7 GiB
// for 5 TiB.
func partSize(estimate int64) int64 {
	size := (estimate + estimate/4 + plannedParts - 1) / plannedParts
	size = (size + chunkSize - 1) / chunkSize * chunkSize
	return min(max(size, minPartSize), maxPartSize)
}

// grownSize returns the size of the nth part, counted from 1. Beyond the planned parts it doubles every hundred, up to
// S3's limit. With equal, it never grows: some stores, such as R2, require parts of equal size.
func grownSize(base int64, n int32, equal bool) int64 {
	if equal || n <= plannedParts {
		return base
	}
	doublings := (n - plannedParts + growthInterval - 1) / growthInterval
	return min(base<<min(doublings, 16), maxPartSize)
}
