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

// maxDiagnosed bounds the tenants whose failure is diagnosed with API calls: up to five each, of the 700 a minute that
// Neon allows. If more fail, they share a cause, which the first ones show.
const maxDiagnosed = 20

// diagnosis is an error with its cause.
type diagnosis struct {
	err    error
	cause  string
	remedy string
}

func (d *diagnosis) Error() string  { return d.cause + ": " + d.err.Error() }
func (d *diagnosis) Unwrap() error  { return d.err }
func (d *diagnosis) Remedy() string { return d.remedy }

const (
	disabled       = "the project's compute is disabled"
	disabledRemedy = "enable the compute in Neon's console (the branch's page, its compute, Edit), " +
		"or exclude the tenant with tenants: '!…'"
	quota       = "the project has used up its quota, so Neon does not start its compute"
	quotaRemedy = "raise the project's quota or the account's plan in Neon's console, " +
		"or wait for the next billing period"
	allowList       = "the project accepts connections only from the addresses of its IP allow list"
	allowListRemedy = "GitHub-hosted runners have no fixed address: run the job on a self-hosted or larger runner " +
		"with a static address, and add that to the project's IP allow list"
	blocked       = "the project blocks connections from public networks"
	blockedRemedy = "run the job on a self-hosted runner inside the project's private network, or allow public " +
		"connections in the project's settings (GitHub-hosted runners have public addresses)"
)

// answers are messages of Neon's proxy that leave nothing to find out, in lower case. Source: neondatabase/neon,
// proxy/src/auth, and what the proxy passes on from the control plane.
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

// Diagnose implements [fleet.Diagnoser]. It returns err itself if it finds nothing, and makes no call if the error or
// the listing says enough.
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
	if p, ok := n.listed(t.ID); ok && p.Settings.BlockPublicConnections {
		return &diagnosis{err, blocked, blockedRemedy}
	}
	if n.diagnosed.Add(1) > maxDiagnosed {
		return err
	}
	return n.examine(ctx, t, err)
}

// examine asks Neon about the project, first for what stops every connection, then for what stops this one.
func (n *Neon) examine(ctx context.Context, t fleet.Tenant, err error) error {
	project, apiErr := n.client.Project(ctx, t.ID)
	switch {
	case neon.IsStatus(apiErr, http.StatusNotFound):
		return &diagnosis{err, "the project was deleted, or this key can't see it any more",
			"run again: a deleted project is not listed"}
	case apiErr != nil:
		return err // a failed API call would only hide it
	}
	if d := projectCause(*project, err); d != nil {
		return d
	}
	branch, apiErr := n.ownBranch(ctx, t.ID)
	if apiErr != nil {
		return err
	}
	switch sqlState(err) {
	case "3D000", "28P01", "28000": // PostgreSQL itself answered, so what is wrong is the database or the role
		if d := n.examineNames(ctx, t, branch.ID, err); d != nil {
			return d
		}
		return err
	}
	if d := branchCause(branch, err); d != nil {
		return d
	}
	endpoints, apiErr := n.client.Endpoints(ctx, t.ID, branch.ID)
	if apiErr != nil {
		return err
	}
	if d := computeCause(*project, branch, endpoints, err); d != nil {
		return d
	}
	return err
}

// projectCause returns what stops every connection to a project; nil if nothing does.
func projectCause(p neon.Project, err error) *diagnosis {
	if used := p.Exceeded(); used != "" {
		return &diagnosis{err, quota + " (" + used + ")", quotaRemedy}
	}
	if p.Settings.BlockPublicConnections {
		return &diagnosis{err, blocked, blockedRemedy}
	}
	return nil
}

// branchCause returns what stops connections to a branch; nil if nothing does.
func branchCause(b neon.Branch, err error) *diagnosis {
	if b.State != "archived" {
		return nil
	}
	return &diagnosis{err, fmt.Sprintf("branch %q is archived, and restoring it takes a while", b.Name),
		"run again in a minute: the attempt to connect has started to restore it; Neon archives branches that are " +
			"not used"}
}

// computeCause returns what between the network and PostgreSQL stops this connection; nil if nothing does.
func computeCause(p neon.Project, b neon.Branch, endpoints []neon.Endpoint, err error) *diagnosis {
	i := slices.IndexFunc(endpoints, func(e neon.Endpoint) bool { return e.Type == "read_write" })
	if i < 0 {
		return &diagnosis{err, fmt.Sprintf("branch %q has no read-write compute", b.Name),
			"add a compute to the branch in Neon's console, or choose another neon-branch"}
	}
	compute, allowed := endpoints[i], p.Settings.AllowedIPs
	switch {
	case compute.Disabled:
		return &diagnosis{err, disabled, disabledRemedy}
	case len(allowed.IPs) > 0 && (!allowed.ProtectedBranchesOnly || b.Protected) && !admitted(err):
		return &diagnosis{err, allowList, allowListRemedy}
	case compute.State == "idle":
		return &diagnosis{err, fmt.Sprintf("compute %s is suspended and did not start", compute.ID),
			"start it in Neon's console and read what that says: " +
				"the plan's limit of active computes, or of compute time, may be reached"}
	case compute.State == "init":
		return &diagnosis{err, fmt.Sprintf("compute %s was still starting", compute.ID),
			"run again: Neon is taking longer than usual; see https://neonstatus.com"}
	}
	return nil
}

// admitted reports whether Neon's proxy let the address pass: it checks the allow list before it starts a compute.
func admitted(err error) bool {
	return strings.Contains(strings.ToLower(err.Error()), "couldn't connect to compute node")
}

// examineNames returns which of the database and the role that the inputs name the branch lacks; nil if it has both, or
// if Neon does not say.
func (n *Neon) examineNames(ctx context.Context, t fleet.Tenant, branchID string, err error) error {
	databases, apiErr := n.client.Databases(ctx, t.ID, branchID)
	if apiErr != nil {
		return nil
	}
	if !slices.ContainsFunc(databases, func(d neon.Database) bool { return d.Name == n.database }) {
		names := quoted(databases, func(d neon.Database) string { return d.Name })
		return &diagnosis{err, fmt.Sprintf("the project has no database %q", n.database),
			"set database-name to one that it has: " + names}
	}
	roles, apiErr := n.client.Roles(ctx, t.ID, branchID)
	if apiErr != nil {
		return nil
	}
	if !slices.ContainsFunc(roles, func(r neon.Role) bool { return r.Name == n.role }) {
		names := quoted(roles, func(r neon.Role) string { return r.Name })
		return &diagnosis{err, fmt.Sprintf("the project has no role %q", n.role),
			"set role-name to one that it has: " + names}
	}
	return nil
}

const namesRemedy = "check that the project still exists, and that it has the database of database-name and the role " +
	"of role-name"

// explainURI returns why Neon gave no connection string. Its API documents only the status 404, and does not say what a
// project without stored passwords answers.
func (n *Neon) explainURI(ctx context.Context, t fleet.Tenant, branchID string, err error) error {
	if !final(err) && !errors.Is(err, neon.ErrEmptyURI) {
		return err
	}
	if neon.IsStatus(err, http.StatusUnauthorized) || neon.IsStatus(err, http.StatusForbidden) {
		return keyRemedy(err)
	}
	if p, ok := n.listed(t.ID); ok && !p.StorePasswords {
		return fleet.WithRemedy(err, noPasswords)
	}
	var e *neon.Error
	if errors.As(err, &e) && e.Status == http.StatusNotFound && strings.Contains(e.Message, "endpoint not found") {
		return fleet.WithRemedy(err, "the branch has no compute to connect to: add one on its page in Neon's console, or "+
			"name with neon-branch one that has a compute")
	}
	if n.diagnosed.Add(1) > maxDiagnosed {
		return fleet.WithRemedy(err, namesRemedy)
	}
	if branchID == "" {
		b, apiErr := n.ownBranch(ctx, t.ID)
		if apiErr != nil {
			return fleet.WithRemedy(err, namesRemedy)
		}
		branchID = b.ID
	}
	if d := n.examineNames(ctx, t, branchID, err); d != nil {
		return d
	}
	return fleet.WithRemedy(err, namesRemedy)
}

// sqlState returns the SQLSTATE of the server's error in err's tree, or "".
func sqlState(err error) string {
	var e interface{ SQLState() string }
	if errors.As(err, &e) {
		return e.SQLState()
	}
	return ""
}
