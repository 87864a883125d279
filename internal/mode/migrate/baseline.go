package migrate

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"strings"
	"sync"

	"github.com/org/neon-tenants-action/internal/fingerprint"
	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/input"
	"github.com/org/neon-tenants-action/internal/migration"
	"github.com/org/neon-tenants-action/internal/mode"
	"github.com/org/neon-tenants-action/internal/postgres"
	"github.com/org/neon-tenants-action/internal/remedies"
	"github.com/org/neon-tenants-action/internal/words"
)

// baseline adopts tenants that have tables and no record: their schema is compared with one that the files make in a
// throwaway database. That is on the server of the first such tenant of each [serverKind].
type baseline struct {
	version string
	files   *migration.Files // all of them
	adopted *migration.Files // those up to the version
	public  *migration.Files // of the schema public; nil if there are none
	env     mode.Env
	conns   *mode.Connections

	mu    sync.Mutex
	kinds map[string]*serverKind // by what a schema's printed form depends on
}

// readBaseline reads the input baseline.
func (m *migrator) readBaseline(in *input.Reader) {
	version := in.String("baseline")
	if version == "" || m.files == nil {
		return
	}
	adopted, ok := m.files.UpTo(version)
	if !ok {
		all := m.files.Labels()
		in.Mistake("baseline", "no file in migrations-path has the version %q; the first is %s and the last %s: give the "+
			"version, the digits before the name or drizzle's tag or folder, of the last file whose work the tenants have",
			version, all[0], all[len(all)-1])
		return
	}
	labels := adopted.Labels()
	m.baseline = &baseline{version: labels[len(labels)-1], files: m.files, adopted: adopted,
		public: m.schemas.public, env: m.env, conns: m.conns, kinds: map[string]*serverKind{}}
}

// of returns the baseline of a tenant with these options; nil if tenants get none.
func (b *baseline) of(o migration.Options, log *slog.Logger) *migration.Baseline {
	if b == nil {
		return nil
	}
	return &migration.Baseline{Version: b.version, Check: func(ctx context.Context, c *postgres.Conn) error {
		return b.check(ctx, c, o, log)
	}}
}

// check returns an error unless the tenant's schema is the one that the files make.
func (b *baseline) check(ctx context.Context, c *postgres.Conn, o migration.Options, log *slog.Logger) error {
	kind, err := b.kindOf(ctx, c, o)
	if err != nil {
		return err
	}
	want, err := b.reference(ctx, c, kind, o)
	if err != nil {
		return err
	}
	options := fingerprint.Options{
		Schema: o.Schema, Table: o.Table,
		Patience: cmp.Or(o.StatementLockTimeout, math.MaxInt64), // as long as a migration's statement would wait
	}
	found, err := fingerprint.Take(ctx, c, options)
	if err != nil {
		return b.notCompared(err)
	}
	if found.Hash == want.hash {
		log.Info("the schema is that of the migration files", "up to", b.version, "objects", found.Objects)
		return nil
	}
	objects, err := fingerprint.Describe(ctx, c, options)
	if err != nil {
		return b.notCompared(err)
	}
	exists := c.ExistingDatabase
	if o.Schema != "" {
		exists, o.Table = c.ExistingSchema, o.Table.In(o.Schema)
	}
	if existing, err := exists(ctx, o.Table); err == nil && existing.Other == "" {
		return fleet.WithRemedy(errors.New("it records no versions and is empty, so it has nothing to adopt"),
			"see whether this is the tenant's database; if it really is empty, migrate it in a run without baseline")
	}
	versions, err := b.versions(ctx, c, kind, o)
	if err != nil {
		return err
	}
	return b.mismatch(versions[found.Hash], fingerprint.Diff(want.objects, objects), log)
}

// notCompared is the error of a tenant whose schema could not be read.
func (b *baseline) notCompared(err error) error {
	return forSession(fmt.Errorf("compare its schema with that of the files up to %s: %w", b.version, err))
}

// forSession adds the remedy to an error that is not the files', but due to locks or to the session's settings.
func forSession(err error) error {
	switch {
	case postgres.Locked(err):
		return fleet.WithRemedy(err, "another session holds a lock on one of its tables: run at a quieter hour, or raise "+
			"statement-lock-timeout; nothing was changed")
	case postgres.HasCode(err, "25006"), migration.IsTimeout(err):
		return fleet.WithRemedy(err, remedies.Of(&migration.BaselineError{Err: err}))
	}
	return err
}

// mismatch is the error of a tenant whose schema is not that of the files. The log gets the differences, the error the
// first ones. others are the versions up to which the files make this very schema, if there are any.
func (b *baseline) mismatch(others versionSpan, lines []string, log *slog.Logger) error {
	const shown, logged = 3, 100
	if len(lines) == 0 {
		return b.notCompared(fingerprint.ErrChanged)
	}
	var first []string
	for i, line := range lines {
		line = fleet.Redact(log, line) // a function's body may contain the password of this very connection
		if i < logged {
			log.Error("schema: " + line)
		}
		if !strings.HasPrefix(line, " ") {
			first = append(first, line)
		}
	}
	differences := "its log has all differences"
	if left := len(lines) - logged; left > 0 {
		log.Error("schema: " + words.More(left))
		differences = fmt.Sprintf("its log has the first %d lines of the differences", logged)
	}
	if others.first != "" {
		return b.otherVersion(others)
	}
	return fleet.WithRemedy(fmt.Errorf("it records no versions, and its schema is not the one that the files up to %s "+
		"make: %s", b.version, words.List(first, shown)), "make its schema that of the files, or the files that of the "+
		"tenant, then run again; "+differences+" (- it lacks, + it has in addition, ~ is different); nothing was changed")
}

// otherVersion is the error of a tenant whose schema is that of other files than the baseline's.
func (b *baseline) otherVersion(others versionSpan) error {
	const apart = ", in a run of its own with the tenants that fail like this; nothing was changed"
	if others.first == others.last {
		return fleet.WithRemedy(fmt.Errorf("it records no versions, and its schema is that of the files up to %s, not up "+
			"to %s", others.first, b.version), "give it baseline: "+others.first+apart)
	}
	return fleet.WithRemedy(fmt.Errorf("it records no versions, and its schema is that of the files up to any from %s to "+
		"%s, not up to %s", others.first, others.last, b.version), "rows are not compared: give it as baseline the last of "+
		"these versions whose data it has"+apart)
}
