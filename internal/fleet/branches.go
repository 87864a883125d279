package fleet

import (
	"context"
	"time"
)

// Branch is a copy-on-write branch of a tenant's project, or the one that the tenant itself is.
type Branch struct {
	ID, Name string
	// ParentID is empty for a root branch.
	ParentID  string
	Default   bool
	Protected bool
	// Busy is true while it is being created or reset: whoever did not do that has to wait before connecting.
	Busy      bool
	CreatedAt time.Time
	// ExpiresAt is when it is deleted by itself, or a little later; zero: never.
	ExpiresAt time.Time
}

// LongestBranchLife is how far ahead a branch may expire, by the platform's clock.
const LongestBranchLife = 30 * 24 * time.Hour

// BranchSpec describes a branch to create from the tenant's own.
type BranchSpec struct {
	Name string
	// ExpiresAt is when it is to be deleted by itself, at most [LongestBranchLife] ahead; zero: never.
	ExpiresAt time.Time
	// At is a time within the tenant's history from which it starts; zero: now.
	At time.Time
	// NoCompute is for a branch that is only kept: nobody can connect to it, and its URL is zero.
	NoCompute bool
}

// Brancher makes branches of its tenants. The ids are those of the branches in the tenant's project. Changes are
// complete when a call returns. Those of a project are made one after another.
type Brancher interface {
	// CanBranch says why a tenant has no branches; nil if it can have some. It makes no call.
	CanBranch(t Tenant) error
	// OwnBranch is the branch that the tenant is.
	OwnBranch(ctx context.Context, t Tenant) (Branch, error)
	// Branches are those of the tenant's project whose name or id contains a text; all if that is empty.
	Branches(ctx context.Context, t Tenant, search string) ([]Branch, error)
	// CreateBranch creates a branch of the tenant's own. url is its direct connection string. A branch that cannot be
	// completed, or whose run ends, is deleted again. The error says so if one of that name exists.
	CreateBranch(ctx context.Context, t Tenant, spec BranchSpec) (b Branch, url Secret, err error)
	// BranchURL is a branch's connection string.
	BranchURL(ctx context.Context, t Tenant, branchID string, pooled bool) (Secret, error)
	// RestoreBranch has a branch take over the state of another, or of its own earlier time (which may be zero for the
	// head). preserveAs is the name of a new branch that keeps what it was; it may only be empty if source is another
	// branch. Connection strings stay, sessions end.
	RestoreBranch(ctx context.Context, t Tenant, branchID, sourceID string, at time.Time, preserveAs string) error
	// ExpireBranch sets when a branch is to be deleted by itself, at most [LongestBranchLife] ahead; zero: never.
	ExpireBranch(ctx context.Context, t Tenant, branchID string, at time.Time) error
	// DeleteBranch deletes a branch. One that does not exist is no error.
	DeleteBranch(ctx context.Context, t Tenant, branchID string) error
	// Now is the time by the platform's clock, which dates branches and lets them expire, as far as it is known.
	Now() time.Time
	// APICalls is how many calls of the platform's API the source has made so far.
	APICalls() int64
	// Settle waits until the changes of the tenant's project that are in progress have ended, one way or the other.
	Settle(ctx context.Context, t Tenant) error
	// Restored settles, and reports whether the RestoreBranch that preserved the branch's old state as kept is known to
	// have succeeded.
	Restored(ctx context.Context, t Tenant, branchID string, kept Branch) (bool, error)
	// History is how far back the tenant's history reaches.
	History(ctx context.Context, t Tenant) (time.Duration, error)
}

// ExistingBranch is the error of a name that a branch has already.
type ExistingBranch struct {
	Name, ID string
	Err      error
}

func (e *ExistingBranch) Error() string { return e.Err.Error() }

func (e *ExistingBranch) Unwrap() error { return e.Err }
