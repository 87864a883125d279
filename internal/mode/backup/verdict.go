package backup

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"

	"github.com/org/neon-tenants-action/internal/backups"
	"github.com/org/neon-tenants-action/internal/bucket"
	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/pgdump"
	"github.com/org/neon-tenants-action/internal/postgres"
	"github.com/org/neon-tenants-action/internal/remedies"
)

// prove restores the upload for verification and writes the manifest. What becomes of an upload that was not restored
// depends on what that proves:
//
//   - the stored bytes are not those that were dumped: the object is deleted;
//   - the bytes are right, and a server refuses to load them: the object stays, since nobody else may have that data,
//     without a manifest, so that nothing counts it as a backup;
//   - nothing, since the verification could not be made: it is as good a backup as without it, and counts as such.
//
// In each case the tenant fails, and nothing older is pruned. The manifest is returned if it was written.
func (b *Job) prove(
	ctx context.Context, m backups.Manifest, key backups.Key, dumped pgdump.Dumped, db database, log *slog.Logger,
) (_ backups.Manifest, err error) {
	if m.Verified, err = b.tryRestore(ctx, m, key, dumped, db, log); err == nil {
		return b.finish(ctx, m)
	}
	switch damage := b.damage(ctx, m); {
	case damage != nil:
		err = fmt.Errorf("the upload %s is not what was dumped, and was deleted: %w", m.Key, damage)
		return backups.Manifest{}, fleet.WithRemedy(errors.Join(err, b.remove(ctx, m.Key)),
			"find out what altered it on the way to the bucket or there, and run again; older backups were left alone")
	case ctx.Err() == nil && refused(err, b.partOf(db)):
		return backups.Manifest{}, fleet.WithRemedy(fmt.Errorf("the upload %s is what was dumped, but cannot be restored "+
			"as it is; it stays in the bucket without a manifest, so that nothing counts it as a backup: %w", m.Key, err),
			"correct in the tenant's database what the error names, and run again; older backups were left alone, and "+
				"backup-key can name this one")
	}
	return b.unproved(ctx, m, err)
}

// unproved writes the manifest of a backup whose verification could not be made.
func (b *Job) unproved(ctx context.Context, m backups.Manifest, why error) (backups.Manifest, error) {
	// The next run must not take this backup for a reason to skip the tenant.
	m.Quiet, m.Verified.Problem = nil, why.Error()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTimeout)
	defer cancel()
	written, err := b.finish(ctx, m)
	if err != nil {
		return written, fmt.Errorf("%w; before that, the upload could not be restored for verification: %w", err, why)
	}
	return written, fleet.WithRemedy(fmt.Errorf("the backup %s is whole and counts as with verify: stream, but could not "+
		"be restored for verification: %w", m.Key, why), forVerification(why))
}

// damage reads the upload once more, and returns an error if it proves that the stored bytes are not those that were
// dumped.
func (b *Job) damage(ctx context.Context, m backups.Manifest) error {
	in, err := b.Store.Get(ctx, m.Key)
	if err != nil {
		return nil //nolint:nilerr // that proves nothing
	}
	defer func() { _ = in.Close() }()
	return altered(in, m.StoredSHA256)
}

// altered returns an error if r, read to its end, does not have that SHA-256 or the store's own checksum. Nothing else
// counts: a program that cannot read the bytes, or was stopped while it did, says nothing about them.
func altered(r io.Reader, want string) error {
	hash := sha256.New()
	size, err := io.Copy(hash, stored{r})
	if bad := (*pgdump.BackupError)(nil); errors.As(err, &bad) {
		return bad
	}
	if err != nil {
		return nil // that proves nothing
	}
	if got := hex.EncodeToString(hash.Sum(nil)); got != want {
		return &pgdump.BackupError{Problem: fmt.Sprintf("the SHA-256 of its %d bytes is %s, not %s, which was "+
			"recorded when it was made", size, got, want)}
	}
	return nil
}

// refused reports whether a server's refusal is about the dump and not about the server: its data or its definitions
// contradict themselves. Of a part of a database, what it refers to may only be missing.
func refused(err error, part bool) bool {
	if errors.As(err, new(*bucket.Error)) {
		return false // what came is not what the store has
	}
	if mismatch := (*pgdump.MismatchError)(nil); errors.As(err, &mismatch) {
		return true
	}
	if bad := (*pgdump.BackupError)(nil); errors.As(err, &bad) {
		return bad.Cause == "" || bad.Cause == pgdump.UnusableBackup
	}
	var failed *pgdump.RestoreError
	if !errors.As(err, &failed) || errors.As(err, new(*missingExtension)) {
		return false
	}
	code := failed.Code()
	switch cause := failed.Cause(); {
	case cause == pgdump.NotInTarget && (part || code == "42704"), // such as a collation that the server lacks
		slices.Contains([]postgres.Cause{
			pgdump.CreateDenied, pgdump.OwnershipDenied, pgdump.NewerSetting, pgdump.ExtensionMissing,
		}, cause),
		slices.Contains([]string{"22P05", "22021"}, code): // a character that the database's encoding lacks
		return false
	}
	return slices.ContainsFunc([]string{"22", "23", "2F", "38", "39", "42", "P0"}, func(class string) bool {
		return strings.HasPrefix(code, class)
	})
}

// missingExtension is the error of a dump that needs an extension which the server for throwaway databases lacks.
type missingExtension struct {
	err     error
	missing []error
}

func (e *missingExtension) Error() string {
	return fmt.Sprintf("%v; the server for throwaway databases did not create every extension of the tenant's "+
		"database: %v",
		e.err, errors.Join(e.missing...))
}

func (e *missingExtension) Unwrap() []error { return append([]error{e.err}, e.missing...) }

// lacksExtension explains the error of a restore by the extensions that could not be created before.
func lacksExtension(err error, missing []error) error {
	var failed *pgdump.RestoreError
	if len(missing) == 0 || !errors.As(err, &failed) || failed.Cause() != pgdump.NotInTarget {
		return err
	}
	return &missingExtension{err, missing}
}

// forVerification is the remedy for a verification that could not be made.
func forVerification(err error) string {
	if store := (*bucket.Error)(nil); errors.As(err, &store) {
		return cmp.Or(remedies.Of(store), "run again")
	}
	return onServer(err, "; or set verify: stream for such tenants")
}

// onServer is the remedy for what the server of verify-database-url lacks, with another way out.
func onServer(err error, otherwise string) string {
	var failed *pgdump.RestoreError
	switch {
	case errors.As(err, new(*missingExtension)),
		errors.As(err, &failed) && failed.Cause() == pgdump.ExtensionMissing:
		return "install the extension on the server of verify-database-url and let its role create it" + otherwise
	case errors.As(err, &failed) && failed.Cause() == pgdump.NotInTarget:
		return "the dump refers to what the error names and does not hold it: install it on the server of " +
			"verify-database-url if it is a server's, such as a collation" + otherwise
	}
	if remedy := remedies.Of(err); remedy != "" {
		return "for the server of verify-database-url: " + remedy
	}
	return "look at the server of verify-database-url, and run again"
}

// finish writes the manifest, which makes the upload a backup; without one it is none, and is deleted.
func (b *Job) finish(ctx context.Context, m backups.Manifest) (backups.Manifest, error) {
	m.FinishedAt = b.Store.Now().UTC()
	if err := b.Store.Commit(ctx, m); err != nil {
		return backups.Manifest{}, errors.Join(err, b.remove(ctx, m.Key))
	}
	return m, nil
}

// remove deletes an upload that is not a backup, even if the run has ended.
func (b *Job) remove(ctx context.Context, key string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTimeout)
	defer cancel()
	_, err := b.Store.Delete(ctx, []string{key})
	return err
}
