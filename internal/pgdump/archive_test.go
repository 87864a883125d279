package pgdump

import (
	"strings"
	"testing"
)

// A stored backup may contain anything where its versions should be.
func FuzzServerVersion(f *testing.F) {
	f.Add([]byte("PGDMP\x01\x0e\x00\x04\x08\x01\x00\x01\x00\x00\x00"))
	f.Add([]byte("PGDMP\x01\x0f\x00\xff\x08\x01\x01"))
	f.Add([]byte("--\n-- x\n\n-- Dumped from database version 17.6 (Debian)\n"))
	f.Fuzz(func(t *testing.T, head []byte) {
		for _, format := range []Format{Plain, Custom} {
			if version := serverVersion(format, head); strings.ContainsAny(version, " \n") && format == Plain {
				t.Errorf("%q", version)
			}
		}
	})
}
