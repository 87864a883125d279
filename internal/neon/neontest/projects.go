package neontest

import (
	"net/http"
	"slices"
	"strings"
	"time"
)

type pagination struct {
	Cursor string `json:"cursor"`
}

// projectView is a project in a list. projectDetails adds what only a single one has.
type projectView struct {
	ID                   string            `json:"id"`
	PlatformID           string            `json:"platform_id"`
	RegionID             string            `json:"region_id"`
	Name                 string            `json:"name"`
	Provisioner          string            `json:"provisioner"`
	EndpointSettings     *endpointSettings `json:"default_endpoint_settings,omitempty"`
	Settings             settings          `json:"settings"`
	PgVersion            int               `json:"pg_version"`
	ProxyHost            string            `json:"proxy_host"`
	LogicalSizeLimit     int64             `json:"branch_logical_size_limit"`       // MB
	LogicalSizeLimitByte int64             `json:"branch_logical_size_limit_bytes"` // bytes
	StorePasswords       bool              `json:"store_passwords"`
	ActiveTime           int64             `json:"active_time"`
	CPUUsed              int64             `json:"cpu_used_sec"`
	CreationSource       string            `json:"creation_source"`
	CreatedAt            string            `json:"created_at"`
	UpdatedAt            string            `json:"updated_at"`
	SyntheticStorageSize int64             `json:"synthetic_storage_size"`
	OwnerID              string            `json:"owner_id"`
	OrgID                string            `json:"org_id"`
	HistorySeconds       int               `json:"history_retention_seconds"`
	ComputeLastActiveAt  string            `json:"compute_last_active_at,omitempty"`
	DeletedAt            string            `json:"deleted_at,omitempty"`
	RecoverableUntil     string            `json:"recoverable_until,omitempty"`
}

type projectDetails struct {
	projectView
	DataStorageBytesHour int64          `json:"data_storage_bytes_hour"`
	DataTransferBytes    int64          `json:"data_transfer_bytes"`
	WrittenDataBytes     int64          `json:"written_data_bytes"`
	ComputeTimeSeconds   int64          `json:"compute_time_seconds"`
	ActiveTimeSeconds    int64          `json:"active_time_seconds"`
	PeriodStart          string         `json:"consumption_period_start"`
	PeriodEnd            string         `json:"consumption_period_end"`
	Owner                map[string]any `json:"owner"`
}

const recoverable = 7 * 24 * time.Hour // how long a deleted project can be recovered

func (p *project) view() projectView {
	v := projectView{
		ID: p.id, PlatformID: strings.SplitN(p.region, "-", 2)[0], RegionID: p.region, Name: p.name,
		Provisioner: "k8s-neonvm", EndpointSettings: p.endpointSettings, Settings: p.settings,
		PgVersion: p.pgVersion, ProxyHost: strings.TrimPrefix(p.region, "aws-") + ".aws.neon.tech",
		LogicalSizeLimit: 512, LogicalSizeLimitByte: 512 << 20, StorePasswords: !p.noStorePasswords,
		CreationSource: "console", CreatedAt: stamp(p.created), UpdatedAt: stamp(p.updated), OwnerID: p.org,
		OrgID: p.org, HistorySeconds: p.historySeconds, ComputeLastActiveAt: stamp(p.lastActive()),
		DeletedAt: optionalStamp(p.deleted),
	}
	if p.deleted != nil {
		v.RecoverableUntil = stamp(p.deleted.Add(recoverable))
	}
	return v
}

// lastActive is when a compute was last in use. It is, for a while, when the project is created.
func (p *project) lastActive() time.Time {
	switch {
	case !p.active.IsZero():
		return p.active
	case p.used.IsZero():
		return p.created
	}
	return p.used
}

// inUse notes that a compute is in use, by the name of one of its databases on the real server.
func (s *Server) inUse(database string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if b := s.byDatabase[database]; b != nil {
		b.project.used = s.clock.now()
	}
}

func (p *project) details() projectDetails {
	month := time.Date(p.created.Year(), p.created.Month(), 1, 0, 0, 0, 0, time.UTC)
	return projectDetails{
		projectView: p.view(), PeriodStart: stamp(month), PeriodEnd: stamp(month.AddDate(0, 1, 0)),
		Owner: map[string]any{"email": "ada@example.com", "name": "Ada Lovelace", "branches_limit": 5000,
			"subscription_type": "scale_v3"},
	}
}

type projectPage struct {
	Projects     []projectView  `json:"projects"`
	Unavailable  []string       `json:"unavailable_project_ids,omitempty"`
	Pagination   *pagination    `json:"pagination,omitempty"`
	Applications map[string]any `json:"applications"`
	Integrations map[string]any `json:"integrations"`
}

// listProjects pages as Neon does, newest first. Every page that is not empty has a cursor; the last one's leads to
// an empty page without a cursor.
func (s *Server) listProjects(r *request) (int, any, error) {
	limit, err := r.number("limit", 1, 400, 10)
	if err != nil {
		return 0, nil, err
	}
	if _, err := r.number("timeout", 100, 30000, 0); err != nil {
		return 0, nil, err
	}
	deleted, err := r.boolean("recoverable")
	if err != nil {
		return 0, nil, err
	}
	org, err := s.orgFor(r.caller, r.query.Get("org_id"))
	if err != nil {
		return 0, nil, err
	}
	search := r.query.Get("search")
	s.mu.Lock()
	defer s.mu.Unlock()
	end := len(s.projects)
	if r.query.Has("cursor") {
		last, err := time.Parse(time.RFC3339Nano, r.query.Get("cursor"))
		if err != nil {
			return 0, nil, refuse(http.StatusBadRequest, "invalid cursor")
		}
		end, _ = slices.BinarySearchFunc(s.projects, last, func(p *project, t time.Time) int { return p.created.Compare(t) })
	}
	page := projectPage{Projects: []projectView{}, Applications: map[string]any{}, Integrations: map[string]any{}}
	var last *project
	count, more := 0, false
	for i := end - 1; i >= 0; i-- {
		p := s.projects[i]
		if p.org != org || !r.caller.sees(p) || (p.deleted != nil) != deleted || !p.matches(search) {
			continue
		}
		if count == limit {
			more = true
			break
		}
		count, last = count+1, p
		if s.isUnavailable(p.id) {
			page.Unavailable = append(page.Unavailable, p.id)
			continue
		}
		page.Projects = append(page.Projects, p.view())
		page.Applications[p.id], page.Integrations[p.id] = []string{}, []string{}
	}
	if count > 0 && (more || !s.options.NoLastCursor) {
		page.Pagination = &pagination{stamp(last.created)}
	}
	return http.StatusOK, page, nil
}

// matches reports whether a project's name or id contains text.
func (p *project) matches(text string) bool {
	text = strings.ToLower(text)
	return strings.Contains(strings.ToLower(p.name), text) || strings.Contains(p.id, text)
}

func (s *Server) getProject(r *request) (int, any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, err := s.find(r)
	if err != nil {
		return 0, nil, err
	}
	return http.StatusOK, map[string]any{"project": p.details()}, nil
}
