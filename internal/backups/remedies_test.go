package backups_test

import (
	"strings"
	"testing"

	"github.com/org/neon-tenants-action/internal/bucket/buckettest"
	"github.com/org/neon-tenants-action/internal/fleet"
)

// A mode may add to the remedies of what it reads, so they are there from the beginning.
func TestWhatCannotBeReadHasARemedy(t *testing.T) {
	s, front := openStore(t)
	front.Inject(buckettest.Fault{Operation: "ListObjectsV2"})
	if _, err := s.List(t.Context(), "acme"); err == nil || !strings.Contains(fleet.Remedy(err), "s3:ListBucket") {
		t.Errorf("list: %v, remedy %q", err, fleet.Remedy(err))
	}
	put(t, s, key(s, 1), true)
	front.Inject(buckettest.Fault{Operation: "GetObject"})
	_, err := s.Manifest(t.Context(), key(s, 1).String())
	if err == nil || !strings.Contains(fleet.Remedy(err), "s3:GetObject") {
		t.Errorf("manifest: %v, remedy %q", err, fleet.Remedy(err))
	}
}
