package buckettest

import "time"

// BackupKey is the key of a gzipped plain dump of PostgreSQL 15 that began at that time, in a tenant's folder such as
// tenants/acme/. It is written out here rather than taken from the program, so that the two check each other. Only the
// time goes through a layout: in a whole key, Go would read the 15 of pg15 as the hour.
func BackupKey(folder string, at time.Time) string {
	return folder + at.UTC().Format("20060102T150405Z") + "-pg15.sql.gz"
}
