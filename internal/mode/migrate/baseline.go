package migrate

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"

	"github.com/org/neon-tenants-action/internal/fingerprint"
	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/input"
	"github.com/org/neon-tenants-action/internal/migration"
	"github.com/org/neon-tenants-action/internal/mode"
	"github.com/org/neon-tenants-action/internal/postgres"
	"github.com/org/neon-tenants-action/internal/words"
)

// baseline adopts tenants that have tables and no record: their schema is compared with one that the files make in a
// throwaway database on the tenant's own server, which is of the same major and has the same extensions and roles.
type baseline struct {
	version string
	files   *migration.Files
	public  *migration.Files // of the schema public; nil if there are none
	env     mode.Env

	mu   sync.Mutex            // held while a reference is made, which takes as long as running the files
	made map[string]*reference // by what a schema's printed form depends on
}

// reference is what the files make of an empty database.
type reference struct {
	hash     string
	objects  []fingerprint.Object
	versions map[string]string // of other last files, by the hash of the schema that they leave
	err      error             // why the files cannot be run
}

// readBaseline reads the input baseline.
func (m *migrator) readBaseline(in *input.Reader) {
	version := in.String("baseline")
	if version == "" || m.files == nil {
		return
	}
	if _, ok := m.files.UpTo(version); !ok {
		all := m.files.Versions()
		in.Mistake("baseline", "no file in migrations-path has the version %q; the first is %s and the last %s: give the "+
			"version, the digits before the name, of the last file whose work the tenants have", version, all[0],
			all[len(all)-1])
		return
	}
	m.baseline = &baseline{version: version, files: m.files, public: m.schemas.public, env: m.env,
		made: map[string]*reference{}}
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
	want, err := b.reference(ctx, c, o)
	if err != nil {
		return err
	}
	// A table that is locked for longer than a migration's statement would wait is no reason to wait longer.
	if _, err := c.Exec(ctx, fmt.Sprintf("set lock_timeout = %d", o.StatementLockTimeout.Milliseconds())); err != nil {
		return err
	}
	options := fingerprint.Options{Schema: o.Schema, Table: o.Table}
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
	return b.mismatch(want.versions[found.Hash], fingerprint.Diff(want.objects, objects), log)
}

// notCompared is the error of a tenant whose schema could not be read.
func (b *baseline) notCompared(err error) error {
	locked := postgres.HasCode(err, "55P03")
	err = fmt.Errorf("compare its schema with that of the files up to %s: %w", b.version, err)
	if locked {
		return fleet.WithRemedy(err, "another session holds a lock on one of its tables: run at a quieter hour, or raise "+
			"statement-lock-timeout; nothing was changed")
	}
	return err
}

// mismatch is the error of a tenant whose schema is not that of the files. The log gets all differences, the error the
// first ones. other is the version up to which the files make this very schema; it may be empty.
func (b *baseline) mismatch(other string, lines []string, log *slog.Logger) error {
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
	if other != "" {
		return fleet.WithRemedy(fmt.Errorf("it records no versions, and its schema is that of the files up to %s, not up "+
			"to %s", other, b.version), fmt.Sprintf("give it baseline: %s, in a run of its own with the tenants that fail "+
			"like this; nothing was changed", other))
	}
	return fleet.WithRemedy(fmt.Errorf("it records no versions, and its schema is not the one that the files up to %s "+
		"make: %s", b.version, words.List(first, shown)), "make its schema that of the files, or the files that of the "+
		"tenant, then run again; its log has all differences (- it lacks, + it has in addition, ~ is different); nothing "+
		"was changed")
}

// reference returns what the files make, of the first tenant's server of each kind. One that could not be made for a
// reason of that server's, such as a privilege, is tried again for the next tenant.
func (b *baseline) reference(ctx context.Context, c *postgres.Conn, o migration.Options) (*reference, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	locale, err := c.LocaleClause(ctx)
	if err != nil {
		return nil, err
	}
	kind := fmt.Sprint(c.ServerMajor(), locale)
	if r, ok := b.made[kind]; ok {
		return r, r.err
	}
	r := &reference{versions: map[string]string{}}
	err = b.makeReference(ctx, c, locale, o, r)
	var inFile *migration.Error
	switch {
	case errors.As(err, &inFile) && ctx.Err() == nil:
		r.err = fleet.WithRemedy(fmt.Errorf("the files up to %s cannot be run in an empty database, so there is nothing to "+
			"compare with: %w", b.version, err), "correct the files so that they make a new tenant's schema, then run again; "+
			"nothing was changed")
	case err != nil:
		return nil, fmt.Errorf("run the files up to %s in a throwaway database on its server, to compare with: %w",
			b.version, err)
	default:
		b.env.Notice(fmt.Sprintf("baseline: the tenants' schemas are compared with what the files up to %s make of an empty "+
			"database (PostgreSQL %d, %s)", b.version, c.ServerMajor(), words.Count(len(r.objects), "object", "objects")))
	}
	b.made[kind] = r
	return r, r.err
}

// makeReference runs the files one by one in a throwaway database. Those after the baseline only serve to say which
// version another schema is of, so that one which fails there is no error.
func (b *baseline) makeReference(
	ctx context.Context, c *postgres.Conn, locale string, o migration.Options, r *reference,
) error {
	around, err := c.Surroundings(ctx)
	if err != nil {
		return err
	}
	return postgres.WithScratchLike(ctx, c.Target(), locale, func(scratch postgres.Target) error {
		if o.Schema != "" {
			// What it lacks is an error only if a file needs it.
			if _, err := postgres.CreateExtensions(ctx, scratch, around.Extensions); err != nil {
				return err
			}
		}
		conn, err := postgres.Connect(ctx, scratch, postgres.Options{NoSearchPath: o.Schema != ""})
		if err != nil {
			return err
		}
		defer conn.Close()
		o.Baseline, o.Alone, o.CreateSchema, o.Strict = nil, nil, true, false
		if b.public != nil {
			public := o
			public.Schema, public.CreateSchema = "public", false
			if _, err := migration.Migrate(ctx, conn, b.public, public); err != nil {
				return err
			}
		}
		return b.follow(ctx, conn, o, r)
	})
}

// follow runs one file after the other and takes the schema's fingerprint after each.
func (b *baseline) follow(ctx context.Context, conn *postgres.Conn, o migration.Options, r *reference) error {
	options := fingerprint.Options{Schema: o.Schema, Table: o.Table}
	for _, version := range b.files.Versions() {
		files, _ := b.files.UpTo(version)
		_, err := migration.Migrate(ctx, conn, files, o)
		if err != nil && r.hash != "" {
			return nil
		}
		if err != nil {
			return err
		}
		f, err := fingerprint.Take(ctx, conn, options)
		if err != nil {
			return err
		}
		r.versions[f.Hash] = version
		if version != b.version {
			continue
		}
		r.hash = f.Hash
		if r.objects, err = fingerprint.Describe(ctx, conn, options); err != nil {
			return err
		}
	}
	return nil
}
