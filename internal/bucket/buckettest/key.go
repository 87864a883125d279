package buckettest

import "time"

// BackupKey returns the key of a gzipped plain dump of PostgreSQL 15 that began at the given time, in a folder such as
// tenants/acme/. It does not use the program's own code, so that the two check each other. Only the time goes through a
// layout: in a whole key, Go would take the 15 of pg15 for the hour.
func BackupKey(folder string, at time.Time) string {
	return folder + at.UTC().Format("20060102T150405Z") + "-pg15.sql.gz"
}
