package fleet

import (
	"context"
	"log/slog"
	"time"
)

// What a source can do besides listing and resolving. A source declares each ability with a guard beside its type,
//
//	var _ fleet.Diagnoser = (*Neon)(nil)
//
// so that one that goes missing is a compile error and not a feature that silently stops working.

// Diagnoser finds out why a tenant cannot be connected to. What Diagnose returns wraps err.
type Diagnoser interface {
	Diagnose(ctx context.Context, t Tenant, err error) error
}

// Provisioner creates tenants and drops them. Every call may be repeated: a run that was cut off anywhere is completed
// by the same calls again.
type Provisioner interface {
	// CheckName refuses a name that no new tenant may have. It makes no call.
	CheckName(name string) error
	// CheckExisting tells whether the project, schema or database of that name, which is not listed, exists. It refuses
	// one that may be somebody else's: that is neither empty nor records a beginning of a tenant's migrations, whose
	// versions are given in their order.
	CheckExisting(ctx context.Context, name string, versions []string, log *slog.Logger) (exists bool, err error)
	// Create creates it, unless it exists; created tells which. One that exists and is not listed has to pass
	// CheckExisting. The tenant's id is set, its key is not. Nothing is registered, and what was created stays if a
	// later step fails.
	Create(ctx context.Context, name string, versions []string, log *slog.Logger) (t Tenant, created bool, err error)
	// Register lists the tenant for the fleet, in the tracker or the catalog: the last step of creating a tenant. One
	// that is listed already is no error.
	Register(ctx context.Context, t Tenant) error
	// CheckDrop refuses what must never be dropped, whoever lists it: the system's own schemas and databases, and the
	// one that holds the list itself. It makes no call.
	CheckDrop(t Tenant) error
	// CheckDependents refuses to drop a tenant if objects that are not its own depend on it and would be dropped too.
	CheckDependents(ctx context.Context, t Tenant) error
	// Beside names what a drop would take along that a backup of the tenant does not hold.
	Beside(ctx context.Context, t Tenant) ([]string, error)
	// Gone reports that nothing is left of a tenant but its registration. Not being able to connect to it proves nothing.
	Gone(ctx context.Context, t Tenant) (bool, error)
	// Drop drops a listed tenant, then its registration, under the conditions of both checks. One that is gone is no
	// error.
	Drop(ctx context.Context, t Tenant, log *slog.Logger) error
	// Recovery says how a dropped tenant can be recovered without a backup, and for how long; empty if it cannot.
	Recovery(t Tenant) string
}

// Creator lists tenants that need not exist yet, and can create them.
type Creator interface {
	// CanCreate says why a tenant's database cannot be created; nil if it can. It makes no call.
	CanCreate(t Tenant) error
	// CreateMissing creates it. created is false where another run was faster.
	CreateMissing(ctx context.Context, t Tenant, log *slog.Logger) (created bool, err error)
}

// SchemaHost is a source whose tenants are schemas of one database, so that they share a connection string.
type SchemaHost interface {
	Source
	// Schema is the name of the tenant's schema.
	Schema(t Tenant) string
	// Database is the connection string that all tenants share.
	Database() Secret
	// ExpectList says that a list which does not exist yet is an empty one: it is about to be created.
	ExpectList()
}

// ProjectMaker creates projects to restore into.
type ProjectMaker interface {
	// CreateProject creates a project in the region, the organization and of the Postgres version of like. One that
	// cannot be completed is deleted again.
	CreateProject(ctx context.Context, like Tenant, name string) (id string, url Secret, err error)
	// DeleteProject deletes a project that CreateProject made like that tenant's.
	DeleteProject(ctx context.Context, like Tenant, id string) error
}

// Activity knows when a tenant was last in use.
type Activity interface {
	// LastActive is when a compute of the tenant was last active; known is false where nobody can tell.
	LastActive(ctx context.Context, t Tenant) (at time.Time, known bool, err error)
	// Computes returns what the platform says of the computes of the tenants that were listed, without a call for each and
	// without waking one.
	Computes(ctx context.Context) (Computes, error)
}

// Computes are the computes of the listed tenants.
type Computes struct {
	// Of returns a tenant's; known is false where the platform says nothing of it. It makes no call.
	Of func(t Tenant) (c Compute, known bool)
	// At is when the platform said so, by this machine's clock.
	At time.Time
	// Ahead is by how much the platform's clock is ahead of this machine's, to a second or so; AheadKnown is false if it
	// does not tell.
	Ahead      time.Duration
	AheadKnown bool
}

// Compute is what a platform says of a tenant's compute, or of the one that was in use last if it has several.
type Compute struct {
	LastActive time.Time // zero: not known
	// ChangedAt is when something about the tenant was last changed other than by using it; zero: not known.
	ChangedAt time.Time
	// SuspendAfter is how long after its last use the compute is suspended; negative: never.
	SuspendAfter time.Duration
	// MinUnits is the least number of compute units that it runs with.
	MinUnits float64
}

// Asleep reports whether the compute was suspended at a time.
func (c Compute) Asleep(at time.Time) bool {
	return c.SuspendAfter >= 0 && !c.LastActive.IsZero() && c.LastActive.Add(c.SuspendAfter).Before(at)
}

// Pooler knows connection strings that lead through a connection pooler, for applications.
type Pooler interface {
	PooledURL(ctx context.Context, t Tenant) (Secret, error)
}

// Orphans finds what looks like a tenant and belongs to none that is listed. versions is the name, without a schema, of
// the table in which tenants record their migrations.
type Orphans interface {
	Orphans(ctx context.Context, versions string) ([]string, error)
}

// Searcher says where it looked for tenants, for a run that finds fewer than it expects.
type Searcher interface {
	// Searched says what was looked at and how much of it was no tenant, and what to check. It makes no call.
	Searched() (looked, remedy string)
}

// Place is where a tenant lives, as far as a catalog records it; empty parts are unknown or do not apply.
type Place struct {
	NeonProjectID string
	NeonBranch    string // by name; empty: the project's default branch
	Server        string // host:port
	Database      string // on that server, or in that project
	Role          string // that connects to the project
}

// Locator knows where its tenants live. Place makes no call.
type Locator interface {
	Place(t Tenant) Place
}

// Closer is a source that listing leaves with something to release.
type Closer interface {
	Close()
}

// Remnants is a source that also lists tenants of which only something is left, such as their backups. A catalog does
// not take these for tenants that exist.
type Remnants interface {
	Remnant(t Tenant) bool
}
