package neontest

import (
	"cmp"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

type branchView struct {
	ID                string `json:"id"`
	ProjectID         string `json:"project_id"`
	ParentID          string `json:"parent_id,omitempty"`
	ParentLSN         string `json:"parent_lsn,omitempty"`
	ParentTimestamp   string `json:"parent_timestamp,omitempty"`
	Name              string `json:"name"`
	CurrentState      string `json:"current_state"`
	PendingState      string `json:"pending_state,omitempty"`
	StateChangedAt    string `json:"state_changed_at"`
	LogicalSize       int64  `json:"logical_size,omitempty"`
	CreationSource    string `json:"creation_source"`
	Primary           bool   `json:"primary"` // deprecated by Neon, and still sent
	Default           bool   `json:"default"`
	Protected         bool   `json:"protected"`
	CPUUsed           int64  `json:"cpu_used_sec"`
	ComputeTime       int64  `json:"compute_time_seconds"`
	ActiveTime        int64  `json:"active_time_seconds"`
	WrittenDataBytes  int64  `json:"written_data_bytes"`
	DataTransferBytes int64  `json:"data_transfer_bytes"`
	CreatedAt         string `json:"created_at"`
	UpdatedAt         string `json:"updated_at"`
	TTLSeconds        int    `json:"ttl_interval_seconds,omitempty"`
	ExpiresAt         string `json:"expires_at,omitempty"`
	LastResetAt       string `json:"last_reset_at,omitempty"`
	InitSource        string `json:"init_source,omitempty"`
}

func (b *branch) view() branchView {
	v := branchView{
		ID: b.id, ProjectID: b.project.id, Name: b.name, CurrentState: "ready", StateChangedAt: stamp(b.ready),
		LogicalSize: 30 << 20, CreationSource: "console", Primary: b.isDefault, Default: b.isDefault,
		Protected: b.protected, CreatedAt: stamp(b.created), UpdatedAt: stamp(b.updated),
		ExpiresAt: optionalStamp(b.expires), LastResetAt: optionalStamp(b.reset), InitSource: b.initSource,
	}
	if b.parent != nil {
		v.ParentID, v.ParentLSN, v.ParentTimestamp = b.parent.id, b.parentLSN, stamp(b.parentTime)
	}
	if b.expires != nil {
		v.TTLSeconds = int(b.life.Round(time.Second).Seconds())
	}
	switch {
	case b.project.clock.now().Before(b.ready) && b.reset != nil:
		v.CurrentState, v.PendingState = "resetting", "ready"
	case b.project.clock.now().Before(b.ready):
		v.CurrentState, v.PendingState = "init", "ready"
	case b.archived:
		v.CurrentState = "archived"
	}
	return v
}

func (p *project) branchViews() []branchView {
	views := []branchView{}
	for _, b := range p.branches {
		views = append(views, b.view())
	}
	return views
}

// search returns a project's branches whose name or id contains text.
func (p *project) search(text string) []*branch {
	var found []*branch
	for _, b := range p.branches {
		if strings.Contains(strings.ToLower(b.name), strings.ToLower(text)) || strings.Contains(b.id, text) {
			found = append(found, b)
		}
	}
	return found
}

// listBranches pages in another way than listProjects: the cursor is in pagination.next, and the last page has none.
func (s *Server) listBranches(r *request) (int, any, error) {
	limit, err := r.number("limit", 1, 10000, 10000)
	if err != nil {
		return 0, nil, err
	}
	by, err := r.oneOf("sort_by", "updated_at", "name", "created_at", "updated_at")
	if err != nil {
		return 0, nil, err
	}
	order, err := r.oneOf("sort_order", "desc", "asc", "desc")
	if err != nil {
		return 0, nil, err
	}
	if _, err := r.boolean("include_deleted"); err != nil {
		return 0, nil, err
	}
	skip := 0
	if r.query.Has("cursor") {
		if skip, err = strconv.Atoi(r.query.Get("cursor")); err != nil || skip < 0 {
			return 0, nil, refuse(http.StatusBadRequest, "invalid cursor")
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	p, err := s.find(r)
	if err != nil {
		return 0, nil, err
	}
	found := p.search(r.query.Get("search"))
	sortBranches(found, by, order)
	found = found[min(skip, len(found)):]
	paging := map[string]string{"sort_by": by, "sort_order": order}
	if len(found) > limit {
		found = found[:limit]
		paging["next"] = strconv.Itoa(skip + limit)
	}
	views := []branchView{}
	for _, b := range found {
		views = append(views, b.view())
	}
	return http.StatusOK, map[string]any{"branches": views, "annotations": map[string]any{}, "pagination": paging}, nil
}

func sortBranches(branches []*branch, by, order string) {
	slices.SortStableFunc(branches, func(a, b *branch) int {
		if order == "desc" {
			a, b = b, a
		}
		switch by {
		case "name":
			return cmp.Compare(a.name, b.name)
		case "created_at":
			return a.created.Compare(b.created)
		}
		return a.updated.Compare(b.updated)
	})
}

func (s *Server) countBranches(r *request) (int, any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, err := s.find(r)
	if err != nil {
		return 0, nil, err
	}
	return http.StatusOK, map[string]any{"count": len(p.search(r.query.Get("search")))}, nil
}

func (s *Server) getBranch(r *request) (int, any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, err := s.findBranch(r)
	if err != nil {
		return 0, nil, err
	}
	annotation := map[string]any{"object": map[string]string{"type": "console/branch", "id": b.id},
		"value": map[string]any{}}
	return http.StatusOK, map[string]any{"branch": b.view(), "annotation": annotation}, nil
}
