package neon

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unique"
)

// Project is one Neon project.
type Project struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	// RegionID is like aws-us-east-1.
	RegionID string `json:"region_id"`
	// PgVersion is the major version of its Postgres.
	PgVersion int    `json:"pg_version"`
	OrgID     string `json:"org_id"`
	// CreatedAt is by Neon's clock.
	CreatedAt time.Time `json:"created_at"`
	// UpdatedAt is when Neon last changed what it knows of the project, such as its default branch.
	UpdatedAt time.Time `json:"updated_at"`
	// ComputeLastActiveAt is when one of its computes was last active; zero if Neon does not say.
	ComputeLastActiveAt time.Time `json:"compute_last_active_at"`
	// Defaults are the settings of its computes, unless one has been given others.
	Defaults struct {
		// SuspendSeconds is how long after its last use a compute is suspended: 0 is Neon's default, -1 is never.
		SuspendSeconds int64   `json:"suspend_timeout_seconds"`
		MinUnits       float64 `json:"autoscaling_limit_min_cu"`
	} `json:"default_endpoint_settings"`
	// HistorySeconds is how far back its branches can be restored, or branched from.
	HistorySeconds int64 `json:"history_retention_seconds"`
	// StorePasswords is false if Neon keeps no passwords, and so has no complete connection string.
	StorePasswords bool `json:"store_passwords"`
	Settings       struct {
		// Quota is what the project may use in a billing period; 0 is no limit. Beyond it, Neon suspends the project's
		// computes, and neither a connection nor the API starts them.
		Quota      Usage `json:"quota"`
		AllowedIPs struct {
			IPs                   []string `json:"ips"`
			ProtectedBranchesOnly bool     `json:"protected_branches_only"`
		} `json:"allowed_ips"`
		BlockPublicConnections bool `json:"block_public_connections"`
	} `json:"settings"`
	// Usage is what the project has used in the current period. Lists leave it out.
	Usage
}

// Usage is what a project uses in a billing period.
type Usage struct {
	ActiveTimeSeconds  int64 `json:"active_time_seconds"`
	ComputeTimeSeconds int64 `json:"compute_time_seconds"`
	WrittenDataBytes   int64 `json:"written_data_bytes"`
	DataTransferBytes  int64 `json:"data_transfer_bytes"`
}

// Exceeded names the first quota that the project has used up, "" if there is none.
func (p *Project) Exceeded() string {
	q := p.Settings.Quota
	for _, limit := range []struct {
		name        string
		used, quota int64
	}{
		{"active_time_seconds", p.ActiveTimeSeconds, q.ActiveTimeSeconds},
		{"compute_time_seconds", p.ComputeTimeSeconds, q.ComputeTimeSeconds},
		{"written_data_bytes", p.WrittenDataBytes, q.WrittenDataBytes},
		{"data_transfer_bytes", p.DataTransferBytes, q.DataTransferBytes},
	} {
		if limit.quota > 0 && limit.used >= limit.quota {
			return fmt.Sprintf("%s: %d of %d used", limit.name, limit.used, limit.quota)
		}
	}
	return ""
}

// SuspendAfter is how long after its last use the project's compute is suspended; negative: never.
func (p *Project) SuspendAfter() time.Duration {
	if p.Defaults.SuspendSeconds == 0 {
		return 300 * time.Second // Neon's default
	}
	return time.Duration(p.Defaults.SuspendSeconds) * time.Second
}

// MinUnits is the least number of compute units with which the project's compute runs.
func (p *Project) MinUnits() float64 {
	const smallest = 0.25
	return max(p.Defaults.MinUnits, smallest)
}

const (
	pageSize = 400 // Neon's maximum
	// pageTimeout is how long Neon may take to collect a page; it lists projects that take longer as unavailable. Neon
	// allows 30 s, but that is all the time that one attempt has.
	pageTimeout = 20 * time.Second
	// Unavailable projects are read one by one, so many at once, in so many rounds with a pause in between.
	refetchers    = 8
	refetchRounds = 3
	refetchPause  = 2 * time.Second
)

// Projects lists the projects of an organization. If orgID is empty, it is the key's own organization, or the only
// one that the key can access; if there is not exactly one, the error is an [*OrgError]. missing holds the ids of
// projects that exist but that Neon could read neither for the list nor one by one.
func (c *Client) Projects(ctx context.Context, orgID string) (projects []Project, missing []string, err error) {
	projects, missing, _, err = c.list(ctx, orgID, "")
	return projects, missing, err
}

// list is [Client.Projects], limited to those whose name or id contains search, if that is not empty. It also returns
// the organization that it listed, "" if the key implies it.
func (c *Client) list(ctx context.Context, orgID, search string) (
	projects []Project, missing []string, listed string, err error,
) {
	first, err := c.projectPage(ctx, orgID, search, "")
	if e := (*Error)(nil); orgID == "" && errors.As(err, &e) && e.Status == http.StatusBadRequest &&
		strings.Contains(e.Message, "org_id is required") {
		// A personal key has to name the organization; an organization's own key implies it.
		if orgID, err = c.onlyOrganization(ctx); err != nil {
			return nil, nil, "", err
		}
		first, err = c.projectPage(ctx, orgID, search, "")
	}
	if err != nil {
		return nil, nil, "", err
	}
	found := map[string]bool{}
	seen := cursors{}
	var pages [][]Project // joined at the end: growing a list of 100,000 copies it many times over
	// The list ends at an empty page, or at one without a cursor. A short page means nothing, since it leaves out
	// unavailable projects.
	for page := first; ; {
		for i := range page.Projects { // which share these, but each got a copy
			p := &page.Projects[i]
			p.RegionID, p.OrgID = unique.Make(p.RegionID).Value(), unique.Make(p.OrgID).Value()
		}
		pages = append(pages, slices.DeleteFunc(page.Projects, func(p Project) bool {
			known := found[p.ID]
			found[p.ID] = true
			return known
		}))
		missing = append(missing, page.Unavailable...)
		cursor := page.Pagination.Cursor
		if cursor == "" || len(page.Projects)+len(page.Unavailable) == 0 {
			break
		}
		if err := seen.next(cursor); err != nil {
			return nil, nil, "", fmt.Errorf("list projects: %w", err)
		}
		if page, err = c.projectPage(ctx, orgID, search, cursor); err != nil {
			return nil, nil, "", err
		}
	}
	slices.Sort(missing)
	missing = slices.DeleteFunc(slices.Compact(missing), func(id string) bool { return found[id] })
	late, missing, err := c.refetch(ctx, missing)
	return slices.Concat(append(pages, late)...), missing, orgID, err
}

type projectPage struct {
	Projects    []Project `json:"projects"`
	Unavailable []string  `json:"unavailable_project_ids"`
	Pagination  struct {
		Cursor string `json:"cursor"`
	} `json:"pagination"`
}

func (c *Client) projectPage(ctx context.Context, orgID, search, cursor string) (page projectPage, err error) {
	query := url.Values{
		"limit":   {strconv.Itoa(pageSize)},
		"timeout": {strconv.FormatInt(pageTimeout.Milliseconds(), 10)},
	}
	if orgID != "" {
		query.Set("org_id", orgID)
	}
	if search != "" {
		query.Set("search", search)
	}
	if cursor != "" {
		query.Set("cursor", cursor)
	}
	if err := c.get(ctx, &page, query, "/projects"); err != nil {
		return page, fmt.Errorf("list projects: %w", err)
	}
	return page, nil
}

// refetch reads projects one by one. It returns those that could be read, in the order of ids, and the ids of the
// rest. A project that is gone by now (404) is in neither. err is non-nil only if ctx ended.
func (c *Client) refetch(ctx context.Context, ids []string) (found []Project, missing []string, err error) {
	for round := range refetchRounds {
		if len(ids) == 0 {
			break
		}
		if round > 0 && !sleep(ctx, refetchPause) {
			return found, ids, fmt.Errorf("read projects that the list left out: %w", context.Cause(ctx))
		}
		projects, errs := c.projectsByID(ctx, ids)
		if ctx.Err() != nil {
			return found, ids, fmt.Errorf("read projects that the list left out: %w", context.Cause(ctx))
		}
		missing = nil
		for i, id := range ids {
			switch {
			case errs[i] == nil:
				found = append(found, *projects[i])
			case !IsStatus(errs[i], http.StatusNotFound):
				missing = append(missing, id)
			}
		}
		ids = missing
	}
	return found, ids, nil
}

// projectsByID reads projects concurrently. Both slices it returns are in the order of ids.
func (c *Client) projectsByID(ctx context.Context, ids []string) ([]*Project, []error) {
	projects, errs := make([]*Project, len(ids)), make([]error, len(ids))
	next := make(chan int)
	var workers sync.WaitGroup
	for range min(refetchers, len(ids)) {
		workers.Go(func() {
			for i := range next {
				projects[i], errs[i] = c.Project(ctx, ids[i])
			}
		})
	}
	for i := range ids {
		next <- i
	}
	close(next)
	workers.Wait()
	return projects, errs
}

// Project reads one project, with its usage.
func (c *Client) Project(ctx context.Context, id string) (*Project, error) {
	var out struct {
		Project Project `json:"project"`
	}
	if err := c.get(ctx, &out, nil, "/projects/{}", id); err != nil {
		return nil, fmt.Errorf("read project %s: %w", id, err)
	}
	return &out.Project, nil
}

// ErrEmptyURI is the cause of an answer that has no connection string.
var ErrEmptyURI = errors.New("the connection string is empty")

// ConnectionURI returns a connection string, including the password, for a branch's read-write compute, or for its
// pooler. An empty branchID means the default branch.
func (c *Client) ConnectionURI(
	ctx context.Context, projectID, branchID, database, role string, pooled bool,
) (string, error) {
	query := url.Values{"database_name": {database}, "role_name": {role}}
	if branchID != "" {
		query.Set("branch_id", branchID)
	}
	if pooled {
		query.Set("pooled", "true")
	}
	var out struct {
		URI string `json:"uri"`
	}
	if err := c.get(ctx, &out, query, "/projects/{}/connection_uri", projectID); err != nil {
		return "", fmt.Errorf("read the connection string of project %s: %w", projectID, err)
	}
	if out.URI == "" {
		e := failed(http.MethodGet, "/projects/"+projectID+"/connection_uri", ErrEmptyURI)
		e.Status, e.Sent = http.StatusOK, true
		return "", fmt.Errorf("read the connection string of project %s: %w", projectID, e)
	}
	return out.URI, nil
}
