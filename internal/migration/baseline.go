package migration

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/org/neon-tenants-action/internal/postgres"
)

var errLockLost = errors.New("the lock that keeps other runs away was lost")

// ErrNewSession is for a [Baseline].Check that had to reconnect: the lock is gone, so the database is locked and read
// again.
var ErrNewSession = errors.New("the connection has a new session")

// Baseline is how a database that has tables and records no versions is adopted: the files that it was made by, in
// another way, are recorded and not run.
type Baseline struct {
	// Version is that of the last such file.
	Version string
	// Check returns an error unless the database is as those files make it. It is called while the lock is held, and the
	// connection's session is as a migration finds it. [ErrNewSession] has it called again.
	Check func(ctx context.Context, c *postgres.Conn) error
}

// BaselineError is the error of a baseline that was not recorded.
type BaselineError struct{ Err error }

func (e *BaselineError) Error() string {
	return fmt.Sprintf("the baseline was not recorded: %v", e.Err)
}
func (e *BaselineError) Unwrap() error { return e.Err }

// Cause is why, if it is the session's settings.
func (e *BaselineError) Cause() postgres.Cause {
	switch {
	case postgres.HasCode(e.Err, "25006"):
		return BaselineReadOnly
	case IsTimeout(e.Err):
		return BaselineTimeOut
	}
	return ""
}

// LostBaselineError is the error of a connection that broke while the baseline was recorded.
type LostBaselineError struct {
	Versions []string // recorded all together, or not at all
	Err      error
}

func (e *LostBaselineError) Error() string {
	return fmt.Sprintf("the connection was lost while the baseline was recorded, wholly or not at all: %v", e.Err)
}

func (e *LostBaselineError) Unwrap() error { return e.Err }

// UpTo returns the files up to a version. None has that version: ok is false.
func (m *Files) UpTo(version string) (_ *Files, ok bool) {
	last := slices.IndexFunc(m.ordered, func(one migration) bool {
		return one.version == version || one.label() == version
	})
	if last < 0 {
		return nil, false
	}
	some := &Files{m.dir, m.layout, fileSystem{contents: map[string]string{}}, m.ordered[:last+1]}
	some.files.entries = slices.DeleteFunc(slices.Clone(m.files.entries), func(e fs.DirEntry) bool {
		return !slices.ContainsFunc(some.ordered, func(one migration) bool { return one.file == e.Name() })
	})
	for _, one := range some.ordered {
		some.files.contents[one.file] = m.files.contents[one.file]
	}
	return some, true
}

// skippedAfter returns a file after the first ones that drizzle would skip once these are recorded; "" if none is.
func (m *Files) skippedAfter(first *Files) string {
	latest := int64(0)
	for i, one := range m.ordered {
		if i >= len(first.ordered) && m.layout == journalAndFiles && one.entry.CreatedAt <= latest {
			return one.file
		}
		if i < len(first.ordered) {
			latest = max(latest, one.entry.CreatedAt)
		}
	}
	return ""
}

// adopts reports whether a database is one that gets a baseline: it records nothing. A schema that does not exist has
// nothing to adopt, but a database may be without the one that its record is to be in.
func (o Options) adopts(s postgres.Status) bool {
	return o.Baseline != nil && !o.missing(s) && len(s.Versions) == 0
}

// adopt gives a database that records nothing its baseline, and returns the files that it recorded, and the status with
// them; in a dry run it only tells which they would be.
func adopt(
	ctx context.Context, c *postgres.Conn, s postgres.Status, files *Files, o Options,
) (_ postgres.Status, recorded []string, err error) {
	if !o.adopts(s) {
		return s, nil, nil
	}
	some, ok := files.UpTo(o.Baseline.Version)
	if !ok {
		return s, nil, fmt.Errorf("no migration file has the baseline's version %s", o.Baseline.Version)
	}
	if skipped := files.skippedAfter(some); skipped != "" {
		return s, nil, &BaselineError{fmt.Errorf("%s, which comes after it, has an earlier time and would be skipped for "+
			"good; take a later file", skipped)}
	}
	if !o.DryRun {
		if err := o.Baseline.Check(ctx, c); err != nil {
			return s, nil, err
		}
		if err := o.before(ctx, c, s); err != nil {
			return s, nil, err
		}
		if err := newApplier(ctx, c, s, files, some.ordered, o).recordAll(); err != nil {
			return s, nil, err
		}
		s.Found, s.Named = true, files.layout == folderPerMigration
	}
	return s.Recording(entriesOf(some.ordered)), some.Names(), nil
}

// recordAll records all pending migrations as applied, in one transaction.
func (a *applier) recordAll() error {
	statements := slices.Concat([]string{"begin"}, a.setup, []string{a.holdsLock().sql})
	versions := make([]string, len(a.pending))
	for i, m := range a.pending {
		versions[i] = m.version
		statements = append(statements, a.insert(m))
	}
	proven := len(statements)
	statements = append(statements, a.kept(a.pending...).sql, "commit")
	tags, err := a.conn.Exec(a.ctx, strings.Join(statements, "; "))
	switch {
	case err == nil:
		return nil
	case a.conn.Closed():
		return &LostBaselineError{versions, err}
	case len(tags) == len(a.setup)+1 && postgres.HasCode(err, "22012"):
		return &BaselineError{errLockLost}
	case len(tags) == proven && postgres.HasCode(err, "22012"):
		err = errNotKept
	}
	return &BaselineError{postgres.NotRecordable(err, a.table.Table, versions[len(versions)-1])}
}
