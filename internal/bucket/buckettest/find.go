package buckettest

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
)

// ErrNotBuilt is the error of [Find] if there is no MinIO.
var ErrNotBuilt = errors.New("no MinIO found: build it with `make bin/minio`, or name its binary in BUCKETTEST_MINIO")

// none is the value of BUCKETTEST_MINIO for running without MinIO.
const none = "none"

// Find returns the path of the MinIO to run: the one that BUCKETTEST_MINIO names, the bin/minio that make builds, or
// the one in PATH.
func Find() (string, error) {
	switch path := os.Getenv("BUCKETTEST_MINIO"); path {
	case "":
	case none:
		return "", ErrNotBuilt
	default:
		return path, nil
	}
	dir, err := os.Getwd()
	for err == nil {
		path := filepath.Join(dir, "bin", "minio")
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
			return path, nil
		}
		up := filepath.Dir(dir)
		if up == dir {
			break
		}
		dir = up
	}
	if path, err := exec.LookPath("minio"); err == nil {
		return path, nil
	}
	return "", ErrNotBuilt
}
