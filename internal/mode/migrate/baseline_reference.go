package migrate

import (
	"context"
	"errors"
	"fmt"

	"github.com/org/neon-tenants-action/internal/deadline"
	"github.com/org/neon-tenants-action/internal/fingerprint"
	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/migration"
	"github.com/org/neon-tenants-action/internal/postgres"
	"github.com/org/neon-tenants-action/internal/words"
)

// serverKind is the servers on which the files make one schema, as its printed form goes: those of one major, for
// databases of one locale whose sessions have one search_path.
type serverKind struct {
	locale string
	path   searchPath
	turn   chan struct{} // filled while a tenant has the files run for all tenants of the kind

	// Under [baseline].mu:
	reference *reference             // nil until it is made
	versions  map[string]versionSpan // by the hash of the schema that the files leave; nil until somebody asks
}

// reference is what the files up to the baseline make of an empty database.
type reference struct {
	hash    string
	objects []fingerprint.Object
	err     error // why the files cannot be run
}

// versionSpan is the first and the last version that leave the same schema: files in between only change rows.
type versionSpan struct{ first, last string }

// kindOf returns the kind of the tenant's server.
func (b *baseline) kindOf(ctx context.Context, c *postgres.Conn, o migration.Options) (*serverKind, error) {
	locale, err := c.LocaleClause(ctx)
	if err != nil {
		return nil, err
	}
	var path searchPath
	if o.Schema == "" {
		if path, err = readSearchPath(ctx, c); err != nil {
			return nil, err
		}
	}
	name := fmt.Sprint(c.ServerMajor(), locale, path)
	b.mu.Lock()
	defer b.mu.Unlock()
	kind := b.kinds[name]
	if kind == nil {
		kind = &serverKind{locale: locale, path: path, turn: make(chan struct{}, 1)}
		b.kinds[name] = kind
	}
	return kind, nil
}

// await waits while another tenant has the files run. That can take longer than any other step, so the tenant gives up
// its connection meanwhile, with its lock, and the error is [migration.ErrNewSession]: what it waited for may be there.
func (b *baseline) await(ctx context.Context, c *postgres.Conn, kind *serverKind) error {
	renewed, err := b.conns.StepAside(ctx, c, func() error {
		resume := deadline.Pause(ctx)
		select {
		case kind.turn <- struct{}{}:
			resume(true)
			<-kind.turn
			return nil
		case <-ctx.Done():
			resume(false)
			return fmt.Errorf("wait for the files to run for another tenant's baseline: %w", context.Cause(ctx))
		}
	})
	if err == nil && renewed {
		return migration.ErrNewSession
	}
	return err
}

// once calls find, which looks under the lock for what is there already, and produce if nothing is. One tenant of a
// kind makes something at a time.
func (b *baseline) once(
	ctx context.Context, c *postgres.Conn, kind *serverKind, find func() (found bool), produce func() error,
) error {
	found := func() bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		return find()
	}
	for !found() {
		select {
		case kind.turn <- struct{}{}:
		default:
			if err := b.await(ctx, c, kind); err != nil {
				return err
			}
			continue
		}
		err := error(nil)
		if !found() { // the tenant whose turn it was may have made it just now
			err = produce()
		}
		<-kind.turn
		return err
	}
	return nil
}

// reference returns what the files up to the baseline make. One that could not be made for a reason of the server's,
// such as a privilege, is tried again for the next tenant.
func (b *baseline) reference(
	ctx context.Context, c *postgres.Conn, kind *serverKind, o migration.Options,
) (r *reference, err error) {
	err = b.once(ctx, c, kind, func() bool { r = kind.reference; return r != nil }, func() error {
		if r, err = b.makeReference(ctx, c, kind, o); err != nil {
			return err
		}
		b.mu.Lock()
		defer b.mu.Unlock()
		kind.reference = r
		return nil
	})
	if err != nil {
		return nil, err
	}
	return r, r.err
}

func (b *baseline) makeReference(
	ctx context.Context, c *postgres.Conn, kind *serverKind, o migration.Options,
) (*reference, error) {
	r := &reference{}
	err := b.inScratch(ctx, c, kind, o, func(conn *postgres.Conn, o migration.Options) error {
		_, err := migration.Migrate(ctx, conn, b.adopted, o)
		if err != nil {
			return err
		}
		options := fingerprint.Options{Schema: o.Schema, Table: o.Table}
		taken, err := fingerprint.Take(ctx, conn, options)
		if err != nil {
			return err
		}
		r.hash = taken.Hash
		r.objects, err = fingerprint.Describe(ctx, conn, options)
		return err
	})
	var inFile *migration.Error
	switch {
	case errors.As(err, &inFile) && inFile.Cause() == migration.PrivilegeMissing:
		return nil, fleet.WithRemedy(fmt.Errorf("the files up to %s cannot be run in a throwaway database on its server, to "+
			"compare with: %w", b.version, err), "connect as a role that may do this in a new database (an extension that is "+
			"not trusted takes a superuser), at least until every tenant has a record; nothing was changed")
	case errors.As(err, &inFile) && inFile.Cause() != migration.TimeOut && inFile.Cause() != migration.ReadOnly &&
		ctx.Err() == nil:
		r.err = fleet.WithRemedy(fmt.Errorf("the files up to %s cannot be run in an empty database, so there is nothing to "+
			"compare with: %w", b.version, err), "correct the files so that they make a new tenant's schema, then run again; "+
			"nothing was changed")
	case err != nil:
		return nil, forSession(fmt.Errorf("run the files up to %s in a throwaway database on its server, to compare "+
			"with: %w", b.version, err))
	default:
		b.env.Notice(fmt.Sprintf("baseline: the tenants' schemas are compared with what the files up to %s make of an empty "+
			"database (PostgreSQL %d, %s)", b.version, c.ServerMajor(), words.Count(len(r.objects), "object", "objects")))
	}
	return r, nil
}

// inScratch calls use with a throwaway database on the tenant's server, in which the files of the schema public have
// run, and with the options for the tenants' files.
func (b *baseline) inScratch(
	ctx context.Context, c *postgres.Conn, kind *serverKind, o migration.Options,
	use func(*postgres.Conn, migration.Options) error,
) error {
	around, err := c.Surroundings(ctx)
	if err != nil {
		return err
	}
	return c.WithScratchLike(ctx, kind.locale, func(scratch postgres.Target) error {
		if o.Schema != "" {
			// What it lacks is an error only if a file needs it.
			if _, err := postgres.CreateExtensions(ctx, scratch, around.Extensions); err != nil {
				return err
			}
		}
		conn, err := kind.path.connect(ctx, scratch, o.Schema)
		if err != nil {
			return err
		}
		defer conn.Close()
		o.Baseline, o.Alone, o.CreateSchema, o.Strict = nil, nil, true, false
		if b.public != nil {
			public := o
			public.Schema, public.CreateSchema, public.Table = postgres.PublicSchema, false, o.Table.AtHome()
			if _, err := migration.Migrate(ctx, conn, b.public, public); err != nil {
				return err
			}
		}
		return use(conn, o)
	})
}

// versions returns which versions leave which schema. It is asked for only if a tenant's is not the baseline's, since
// the files after the baseline have to run too, and what they do to the server itself stays.
func (b *baseline) versions(
	ctx context.Context, c *postgres.Conn, kind *serverKind, o migration.Options,
) (all map[string]versionSpan, err error) {
	err = b.once(ctx, c, kind, func() bool { all = kind.versions; return all != nil }, func() error {
		all = map[string]versionSpan{}
		err := b.inScratch(ctx, c, kind, o, func(conn *postgres.Conn, o migration.Options) error {
			return b.follow(ctx, conn, o, all)
		})
		if ctx.Err() != nil {
			return err
		}
		if err != nil {
			c.Log().Info("not all files were run to find out of which version the schema is", "because", err)
		}
		b.mu.Lock()
		defer b.mu.Unlock()
		kind.versions = all
		return nil
	})
	return all, err
}

// follow runs one file after the other and takes the schema's fingerprint after each. It ends before the first file
// after the baseline that makes something of the whole server's: it would be in that file's way in every tenant.
func (b *baseline) follow(
	ctx context.Context, conn *postgres.Conn, o migration.Options, all map[string]versionSpan,
) error {
	after := false
	for _, version := range b.files.Labels() {
		files, _ := b.files.UpTo(version)
		if after && files.LastIsServerWide() {
			return nil
		}
		if _, err := migration.Migrate(ctx, conn, files, o); err != nil {
			return err
		}
		taken, err := fingerprint.Take(ctx, conn, fingerprint.Options{Schema: o.Schema, Table: o.Table})
		if err != nil {
			return err
		}
		span := all[taken.Hash]
		if span.first == "" {
			span.first = version
		}
		span.last = version
		all[taken.Hash] = span
		after = after || version == b.version
	}
	return nil
}
