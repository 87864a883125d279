package backup

import (
	"errors"
	"io"

	"github.com/org/neon-tenants-action/internal/bucket"
	"github.com/org/neon-tenants-action/internal/pgdump"
)

// stored reads a backup's object. If the bytes contradict the store's own checksum, the backup is damaged; any other
// error of the store says nothing about it.
type stored struct{ r io.Reader }

func (s stored) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	if e := (*bucket.Error)(nil); errors.As(err, &e) && e.Cause() == bucket.ObjectDamaged {
		err = &pgdump.BackupError{Problem: err.Error(), Err: err}
	}
	return n, err
}
