package migrate

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/grace"
	"github.com/org/neon-tenants-action/internal/migration"
	"github.com/org/neon-tenants-action/internal/mode"
	"github.com/org/neon-tenants-action/internal/pgdump"
	"github.com/org/neon-tenants-action/internal/postgres"
)

// copyKind is what a tenant was rehearsed on.
type copyKind string

const (
	onBranch copyKind = "branch" // copy-on-write, with all data
	onCopy   copyKind = "copy"   // of the database, with all data
	onSchema copyKind = "schema" // of the definitions alone: the data was not there
)

// tenantCopy is a copy of a tenant that may be changed.
type tenantCopy struct {
	target postgres.Target
	kind   copyKind
}

// copier makes throwaway copies of tenants.
type copier struct {
	env      mode.Env
	runID    string            // of the workflow's run; may be empty
	lifetime time.Duration     // of a branch that nobody deletes
	table    postgres.Ledger   // of versions
	shared   []postgres.Ledger // of the schema public's, if it is migrated too
	copying  slots             // for copies on a server
}

// copiesAtOnce bounds the copies on servers: each takes room on a disk, and three connections.
const copiesAtOnce = 2

// longestLife is that of a branch that expires: a minute less than Neon allows, whose clock may be behind the runner's.
const longestLife = fleet.LongestBranchLife - time.Minute

// rehearsalPrefix begins the names of branches for rehearsals.
const rehearsalPrefix = "rehearsal/"

// with calls use with a copy of the tenant, and removes the copy again, also after an error or a cancel. It may leave
// the slot while it waits for the copy.
func (c copier) with(
	ctx context.Context, t fleet.Tenant, target postgres.Target, log *slog.Logger, place *slot,
	use func(tenantCopy) error, one *rehearsed,
) error {
	if b, ok := c.env.Source.(fleet.Brancher); ok && b.CanBranch(t) == nil {
		return c.withBranch(ctx, t, b, log, place, use, one)
	}
	place.leave()
	return c.withScratch(ctx, t, target, c.env.Schema(t), log, use)
}

// refuse returns an error if pending files would change a server that the copy is on.
func (c tenantCopy) refuse(files *migration.Files, pending []string) error {
	if c.kind == onBranch {
		return nil // which has a server of its own
	}
	if path, what, ok := files.ServerWide(pending); ok {
		return fleet.WithRemedy(fmt.Errorf("%s has a %s, which a server has once: on a copy there it would be real", path,
			what), "run that by hand and take it out of the file, or migrate without a rehearsal; no tenant was touched")
	}
	return nil
}

// deleteGrace is how long after a cancel a branch may still be deleted. It expires by itself otherwise.
const deleteGrace = 4500 * time.Millisecond

func (c copier) withBranch(
	ctx context.Context, t fleet.Tenant, b fleet.Brancher, log *slog.Logger, place *slot, use func(tenantCopy) error,
	one *rehearsed,
) (err error) {
	place.leave()
	began := time.Now()
	spec := fleet.BranchSpec{Name: c.branchName(), ExpiresAt: b.Now().Add(c.lifetime)}
	branch, secret, err := b.CreateBranch(ctx, t, spec)
	if err != nil {
		if c.sweep(ctx, t, b) == 0 {
			return fmt.Errorf("make a branch to rehearse on: %w", err)
		}
		if branch, secret, err = b.CreateBranch(ctx, t, spec); err != nil {
			return fmt.Errorf("make a branch to rehearse on: %w", err)
		}
	}
	one.copy = onBranch
	log.Info("rehearses on a branch", "branch", branch.Name, "id", branch.ID, "expires", branch.ExpiresAt)
	defer func() {
		late, cancel := grace.Context(ctx, deleteGrace)
		defer cancel()
		one.compute = time.Since(began)
		if left := b.DeleteBranch(late, t, branch.ID); left != nil {
			err = errors.Join(err, fmt.Errorf("the branch %s (%s) was not deleted; it expires at %s: %w", branch.Name,
				branch.ID, branch.ExpiresAt.UTC().Format(time.RFC3339), left))
		}
	}()
	target, err := mode.Parse(c.env, secret, log)
	if err != nil {
		return err
	}
	if err := place.take(ctx); err != nil {
		return err
	}
	defer place.leave()
	return use(tenantCopy{target, onBranch})
}

// branchName is a new name, so that two runs, or two attempts of one, never meet.
func (c copier) branchName() string {
	suffix := strings.ToLower(rand.Text()[:8])
	if c.runID == "" {
		return rehearsalPrefix + suffix
	}
	return rehearsalPrefix + c.runID + "-" + suffix
}

// sweep deletes the tenant's branches of earlier rehearsals that are past their time, which Neon does by itself, but
// not at once. It returns how many.
func (c copier) sweep(ctx context.Context, t fleet.Tenant, b fleet.Brancher) (deleted int) {
	all, err := b.Branches(ctx, t, rehearsalPrefix)
	if err != nil {
		return 0
	}
	for _, old := range all {
		if !strings.HasPrefix(old.Name, rehearsalPrefix) || old.ExpiresAt.IsZero() || b.Now().Before(old.ExpiresAt) {
			continue
		}
		if b.DeleteBranch(ctx, t, old.ID) == nil {
			deleted++
			c.env.Notice(fmt.Sprintf("%s: deleted the branch %s of an earlier rehearsal, which was past its time", t.Name,
				old.Name))
		}
	}
	return deleted
}

// mostCopied is the size up to which a database is copied with its data: nobody can connect to it meanwhile, and the
// server has to have the room twice.
const mostCopied = 256_000_000

// withScratch makes the copy on the tenant's own server: of everything, where the server allows that, or else of the
// definitions.
func (c copier) withScratch(
	ctx context.Context, t fleet.Tenant, target postgres.Target, schema string, log *slog.Logger,
	use func(tenantCopy) error,
) error {
	turn := slot{of: c.copying}
	if err := turn.take(ctx); err != nil {
		return err
	}
	defer turn.leave()
	source, err := c.look(ctx, t, target, schema, log)
	if err != nil {
		return err
	}
	if source.size <= mostCopied && schema == "" {
		used := false
		err := postgres.WithCopy(ctx, target, func(scratch postgres.Target) error {
			used = true
			if err := source.configure(ctx, scratch, log); err != nil {
				return err
			}
			log.Info("rehearses on a copy of the database, with its data")
			return use(tenantCopy{scratch, onCopy})
		})
		if used || !postgres.CopyRefused(err) {
			return err
		}
		log.Info("the database is not copied with its data", "because", err)
	}
	return postgres.WithScratchDatabase(ctx, target, source.around.Encoding, func(scratch postgres.Target) error {
		if err := c.copyDefinitions(ctx, target, scratch, schema, source, log); err != nil {
			return fmt.Errorf("copy its definitions into a throwaway database: %w", err)
		}
		if err := source.configure(ctx, scratch, log); err != nil {
			return err
		}
		log.Info("rehearses on a copy of the definitions; the data is not there")
		return use(tenantCopy{scratch, onSchema})
	})
}

// sourceFacts is what a copy has to know of the tenant.
type sourceFacts struct {
	size   int64
	major  int
	around postgres.Surroundings
	// settings are those of the database, such as a search_path, which a copy does not have by itself.
	settings []postgres.Setting
	// records are what is applied: to the tenant, and to the schema public that it shares.
	records []postgres.Status
}

// configure gives a copy the settings of the database.
func (f sourceFacts) configure(ctx context.Context, scratch postgres.Target, log *slog.Logger) error {
	refused, err := postgres.ApplySettings(ctx, scratch, f.settings)
	if len(refused) > 0 {
		log.Warn("the copy lacks settings of the database that the role may not make", "settings", refused)
	}
	return err
}

func (c copier) look(
	ctx context.Context, t fleet.Tenant, target postgres.Target, schema string, log *slog.Logger,
) (f sourceFacts, err error) {
	conn, err := mode.Dial(ctx, c.env, t, target, postgres.Options{ReadOnly: true, NoSearchPath: schema != ""}, log)
	if err != nil {
		return f, err
	}
	defer conn.Close()
	f.major = conn.ServerMajor()
	if f.size, err = conn.DatabaseSize(ctx); err != nil {
		return f, err
	}
	if f.around, err = conn.Surroundings(ctx); err != nil {
		return f, err
	}
	if f.settings, err = conn.Settings(ctx); err != nil {
		return f, err
	}
	for _, table := range c.tables(schema) {
		status, err := postgres.ReadStatus(ctx, conn, table, postgres.NoLock)
		if err != nil {
			return f, err
		}
		if len(status.Versions) > 0 {
			f.records = append(f.records, status)
		}
	}
	return f, nil
}

// tables are those in which a schema, or the database if it is empty, has its versions, and what it shares.
func (c copier) tables(schema string) []postgres.Ledger {
	switch schema {
	case "":
		return []postgres.Ledger{c.table}
	case postgres.PublicSchema:
		return c.shared
	}
	return append([]postgres.Ledger{c.table.In(schema)}, c.shared...)
}

// copyDefinitions makes the scratch database like the tenant's, but for the rows: only the record of versions has its
// own.
func (c copier) copyDefinitions(
	ctx context.Context, target, scratch postgres.Target, schema string, source sourceFacts, log *slog.Logger,
) error {
	var schemas []string
	if schema != "" {
		schemas = slices.Compact([]string{postgres.PublicSchema, schema})
		for _, r := range source.records { // drizzle's may be in one of its own
			if !slices.Contains(schemas, r.Table.Schema) {
				schemas = append(schemas, r.Table.Schema)
			}
		}
		// What the server lacks is an error only if something uses it.
		if _, err := postgres.CreateExtensions(ctx, scratch, source.around.Extensions); err != nil {
			return err
		}
	}
	if err := pgdump.CopyDefinitions(ctx, target, scratch, source.major, schemas, log); err != nil {
		return err
	}
	conn, err := postgres.Connect(ctx, scratch, postgres.Options{})
	if err != nil {
		return err
	}
	defer conn.Close()
	for _, r := range source.records {
		if err := r.Restore(ctx, conn); err != nil {
			return err
		}
	}
	return nil
}
