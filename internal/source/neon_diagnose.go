package source

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/neon"
)

// maxDiagnosed bounds the tenants whose failure is looked into with calls (up to five each, of Neon's 700 a minute): where
// more fail, it is for one reason, which the first ones tell.
const maxDiagnosed = 20

// diagnosis is a failure with what was found to be its cause.
type diagnosis struct {
	err    error
	cause  string
	remedy string
}

func (d *diagnosis) Error() string  { return d.cause + ": " + d.err.Error() }
func (d *diagnosis) Unwrap() error  { return d.err }
func (d *diagnosis) Remedy() string { return d.remedy }

const (
	disabled        = "the project's compute is disabled"
	disabledRemedy  = "enable the compute in Neon's console (the branch's page, its compute, Edit), or leave the tenant out with tenants: '!…'"
	quota           = "the project has used up its quota, and Neon starts no compute of it"
	quotaRemedy     = "raise the project's quota or the account's plan in Neon's console, or wait for the next billing period"
	allowList       = "the project lets only the addresses of its IP allow list connect"
	allowListRemedy = "GitHub-hosted runners have no fixed address: run the job on a self-hosted or larger runner with a static address and add " +
		"that to the project's IP allow list"
	blocked       = "the project is closed to connections from public networks"
	blockedRemedy = "run the job on a self-hosted runner inside the project's private network, or allow public connections in the project's settings " +
		"(GitHub-hosted runners come from public addresses)"
)

// answers are sentences of Neon's proxy that leave nothing to find out (neondatabase/neon, proxy/src/auth, and what it hands
// on from the control plane), in lower case.
var answers = []struct{ text, cause, remedy string }{
	{"endpoint has been disabled", disabled, disabledRemedy},
	{"endpoint is disabled", disabled, disabledRemedy},
	{"exceeded the compute time quota", quota, quotaRemedy},
	{"exceeded the active time quota", quota, quotaRemedy},
	{"exceeded the data transfer quota", quota, quotaRemedy},
	{"exceeded the written data quota", quota, quotaRemedy},
	{"is not allowed to connect to this endpoint", allowList, allowListRemedy},
	{"from a blocked network", blocked, blockedRemedy},
}

// Diagnose finds out why a tenant could not be connected to. err is the connection's error; what is returned wraps it, and
// is err itself where nothing was found. It makes no call where the error or the listing says enough.
func (n *Neon) Diagnose(ctx context.Context, t fleet.Tenant, err error) error {
	if err == nil || ctx.Err() != nil {
		return err
	}
	said := strings.ToLower(err.Error())
	for _, a := range answers {
		if strings.Contains(said, a.text) {
			return &diagnosis{err, a.cause, a.remedy}
		}
	}
	n.mu.Lock()
	listed, known := n.projects[t.ID]
	n.mu.Unlock()
	if known && listed.Settings.BlockPublicConnections {
		return &diagnosis{err, blocked, blockedRemedy}
	}
	if n.diagnosed.Add(1) > maxDiagnosed {
		return err
	}
	return n.examine(ctx, t, err)
}

// examine asks Neon about the project, from what stops every connection to what stops this one.
func (n *Neon) examine(ctx context.Context, t fleet.Tenant, err error) error {
	project, apiErr := n.client.Project(ctx, t.ID)
	switch {
	case neon.IsStatus(apiErr, http.StatusNotFound):
		return &diagnosis{err, "the project was deleted, or this key can't see it any more", "run again: a deleted project is not listed"}
	case apiErr != nil:
		return err // what was to be told is the connection's error; Neon's API is another matter
	}
	if used := project.Exceeded(); used != "" {
		return &diagnosis{err, quota + " (" + used + ")", quotaRemedy}
	}
	if project.Settings.BlockPublicConnections {
		return &diagnosis{err, blocked, blockedRemedy}
	}
	branch, ok := n.usedBranch(ctx, t)
	if !ok {
		return err
	}
	switch state := sqlState(err); {
	case state == "3D000", state == "28P01", state == "28000":
		// Postgres itself answered: what is left is the database and the role.
		if named := n.examineNames(ctx, t, branch.ID, err); named != nil {
			return named
		}
		return err
	}
	return n.examineCompute(ctx, t, project, branch, err)
}

// examineCompute looks at what stands between the network and Postgres.
func (n *Neon) examineCompute(ctx context.Context, t fleet.Tenant, project *neon.Project, branch neon.Branch, err error) error {
	if branch.State == "archived" {
		return &diagnosis{err, fmt.Sprintf("branch %q is archived, and takes long to come back", branch.Name),
			"run again in a minute: connecting has begun to bring it back; a branch that is used at least once in two weeks is not archived"}
	}
	endpoints, apiErr := n.client.Endpoints(ctx, t.ID, branch.ID)
	if apiErr != nil {
		return err
	}
	i := slices.IndexFunc(endpoints, func(e neon.Endpoint) bool { return e.Type == "read_write" })
	if i < 0 {
		return &diagnosis{err, fmt.Sprintf("branch %q has no read-write compute", branch.Name), "add a compute to the branch in Neon's console, or choose another neon-branch"}
	}
	compute := endpoints[i]
	allowed := project.Settings.AllowedIPs
	switch {
	case compute.Disabled:
		return &diagnosis{err, disabled, disabledRemedy}
	case len(allowed.IPs) > 0 && (!allowed.ProtectedBranchesOnly || branch.Protected) && !admitted(err):
		return &diagnosis{err, allowList, allowListRemedy}
	case compute.State == "idle":
		return &diagnosis{err, fmt.Sprintf("compute %s is suspended and did not start", compute.ID),
			"start it in Neon's console and read what that says: the plan's limit of computes that are active at once, or of compute time, may be reached"}
	case compute.State == "init":
		return &diagnosis{err, fmt.Sprintf("compute %s was still starting", compute.ID), "run again: it takes Neon longer than usual; see https://neonstatus.com"}
	}
	return err
}

// admitted reports whether Neon's proxy had let the address pass: it looks at the allow list before it starts a compute.
func admitted(err error) bool {
	return strings.Contains(strings.ToLower(err.Error()), "couldn't connect to compute node")
}

// examineNames says which databases and roles there are, where one that the inputs name is missing; nil where both are
// there or Neon did not say.
func (n *Neon) examineNames(ctx context.Context, t fleet.Tenant, branchID string, err error) error {
	databases, apiErr := n.client.Databases(ctx, t.ID, branchID)
	if apiErr != nil {
		return nil
	}
	if !slices.ContainsFunc(databases, func(d neon.Database) bool { return d.Name == n.database }) {
		return &diagnosis{err, fmt.Sprintf("the project has no database %q", n.database),
			fmt.Sprintf("set database-name to one that it has: %s", quoted(databases, func(d neon.Database) string { return d.Name }))}
	}
	roles, apiErr := n.client.Roles(ctx, t.ID, branchID)
	if apiErr != nil {
		return nil
	}
	if !slices.ContainsFunc(roles, func(r neon.Role) bool { return r.Name == n.role }) {
		return &diagnosis{err, fmt.Sprintf("the project has no role %q", n.role),
			fmt.Sprintf("set role-name to one that it has: %s", quoted(roles, func(r neon.Role) string { return r.Name }))}
	}
	return nil
}

// explainURI says why Neon gave no connection string. Of the statuses only 404 is documented; that of a project without
// stored passwords is not.
func (n *Neon) explainURI(ctx context.Context, t fleet.Tenant, branchID string, err error) error {
	var e *neon.Error
	if !errors.As(err, &e) || e.Status < 400 || e.Status >= 500 || e.Status == http.StatusTooManyRequests || e.Status == http.StatusLocked {
		return err
	}
	if e.Status == http.StatusUnauthorized || e.Status == http.StatusForbidden {
		return keyRemedy(err)
	}
	n.mu.Lock()
	listed, known := n.projects[t.ID]
	n.mu.Unlock()
	if known && !listed.StorePasswords {
		return fleet.WithRemedy(err, noPasswords)
	}
	if n.diagnosed.Add(1) <= maxDiagnosed {
		if branchID == "" {
			b, ok := n.usedBranch(ctx, t)
			if !ok {
				return fleet.WithRemedy(err, namesRemedy)
			}
			branchID = b.ID
		}
		if named := n.examineNames(ctx, t, branchID, err); named != nil {
			return named
		}
	}
	return fleet.WithRemedy(err, namesRemedy)
}

const namesRemedy = "check that the project still exists and has the database of database-name and the role of role-name"

// usedBranch returns the branch that the tenant's connections go to.
func (n *Neon) usedBranch(ctx context.Context, t fleet.Tenant) (neon.Branch, bool) {
	branches, err := n.client.Branches(ctx, t.ID, n.branch)
	i := slices.IndexFunc(branches, func(b neon.Branch) bool {
		if n.branch == "" {
			return b.Default
		}
		return b.Name == n.branch
	})
	if err != nil || i < 0 {
		return neon.Branch{}, false
	}
	return branches[i], true
}

// sqlState returns the SQLSTATE in err's tree, as pgconn.PgError has it, or "".
func sqlState(err error) string {
	var e interface{ SQLState() string }
	if errors.As(err, &e) {
		return e.SQLState()
	}
	return ""
}
