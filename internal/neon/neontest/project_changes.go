package neontest

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/org/neon-tenants-action/internal/postgres/pgtest"
)

var regions = []string{
	"aws-us-east-1", "aws-us-east-2", "aws-us-west-2", "aws-eu-central-1", "aws-eu-west-2", "aws-ap-southeast-1",
	"aws-ap-southeast-2", "aws-sa-east-1", "azure-eastus2", "azure-westus3", "azure-gwc",
}

type projectBody struct {
	Project *struct {
		Name     *string `json:"name"`
		Region   string  `json:"region_id"`
		Version  *int    `json:"pg_version"`
		Org      string  `json:"org_id"`
		Settings *struct {
			settings
			BlockPublicConnections *bool `json:"block_public_connections"`
		} `json:"settings"`
		EndpointSettings *endpointSettings `json:"default_endpoint_settings"`
		StorePasswords   *bool             `json:"store_passwords"`
		HistorySeconds   *int              `json:"history_retention_seconds"`
		Branch           struct {
			Name     *string `json:"name"`
			Role     string  `json:"role_name"`
			Database string  `json:"database_name"`
		} `json:"branch"`
	} `json:"project"`
}

// check refuses what Neon's schema or the plan does not allow.
func (b *projectBody) check(plan *Plan) error {
	if b.Project == nil {
		return refuse(http.StatusBadRequest, "request body has an error: property \"project\" is missing")
	}
	if p := b.Project; p.Name != nil {
		if err := checkName("project.name", *p.Name); err != nil {
			return err
		}
	}
	if h := b.Project.HistorySeconds; h != nil && (*h < 0 || *h > 2592000) {
		return refuse(http.StatusBadRequest, "request body has an error: history_retention_seconds must be from 0 to 2592000")
	}
	if h := b.Project.HistorySeconds; h != nil && *h > plan.HistorySeconds {
		return refuse(http.StatusBadRequest, "requested history retention seconds exceeds allowed maximum; "+
			`requested_history_retention_seconds:"%d", max:"%d"`, *h, plan.HistorySeconds)
	}
	if err := b.Project.EndpointSettings.checkDefaults(plan); err != nil {
		return err
	}
	if settings := b.Project.Settings; settings != nil && settings.Quota != nil {
		if err := settings.Quota.check(); err != nil {
			return err
		}
	}
	if settings := b.Project.Settings; settings != nil && settings.AllowedIPs != nil {
		for _, entry := range settings.AllowedIPs.IPs {
			if _, err := parseRange(entry); err != nil {
				return refuse(http.StatusBadRequest, "allowed_ips: %v", err)
			}
		}
	}
	return nil
}

// apply sets a project's properties.
func (b *projectBody) apply(p *project) {
	in := b.Project
	if in.Name != nil {
		p.name = *in.Name
	}
	if in.HistorySeconds != nil {
		p.historySeconds = *in.HistorySeconds
	}
	if in.EndpointSettings != nil {
		p.endpointSettings = in.EndpointSettings
		for _, e := range p.endpoints {
			p.endpointSettings.apply(e)
		}
	}
	if in.Settings == nil {
		return
	}
	if in.Settings.Quota != nil {
		p.settings.Quota = in.Settings.Quota
	}
	if in.Settings.AllowedIPs != nil {
		allowed := *in.Settings.AllowedIPs
		allowed.IPs = append([]string{}, allowed.IPs...) // [] and not null
		p.settings.AllowedIPs = &allowed
	}
	if in.Settings.MaintenanceWindow != nil {
		p.settings.MaintenanceWindow = in.Settings.MaintenanceWindow
	}
	if in.Settings.BlockPublicConnections != nil {
		p.settings.BlockPublicConnections = *in.Settings.BlockPublicConnections
	}
	p.settings.LogicalReplication = p.settings.LogicalReplication || in.Settings.LogicalReplication
}

func (s *Server) createProject(r *request) (int, any, error) {
	var body projectBody
	if err := r.decode(&body, false); err != nil {
		return 0, nil, err
	}
	if err := body.check(&s.options.Plan); err != nil {
		return 0, nil, err
	}
	if r.caller.project != "" {
		return 0, nil, refuse(http.StatusForbidden, "a project-scoped API key can't be used for this action")
	}
	org, err := s.orgFor(r.caller, body.Project.Org)
	if err != nil {
		return 0, nil, err
	}
	spec, err := body.spec(org)
	if err == nil {
		err = s.checkNewProject(org)
	}
	if err != nil {
		return 0, nil, err
	}
	p, err := s.provision(context.WithoutCancel(r.Context()), spec)
	if err != nil {
		return 0, nil, err
	}
	in := body.Project
	body.apply(p)
	p.noStorePasswords = in.StorePasswords != nil && !*in.StorePasswords
	b := p.branches[0]
	if in.Branch.Name != nil {
		b.name = *in.Branch.Name
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.register(p)
	operations := s.schedule(p, step{action: "create_timeline", branch: b},
		step{action: "start_compute", branch: b, endpoint: p.endpoints[0]})
	b.ready = p.busyUntil
	return http.StatusCreated, map[string]any{
		"project": p.details(), "branch": b.view(), "endpoints": p.endpointViews(s, b), "operations": operations,
		"roles": b.roleViews(true), "databases": b.databaseViews(), "connection_uris": s.connectionDetails(b),
	}, nil
}

// spec returns what to add for a new project of an organization, with Neon's defaults.
func (b *projectBody) spec(org string) (Spec, error) {
	in := b.Project
	spec := Spec{OrgID: org, Region: in.Region, PgVersion: 17, Database: in.Branch.Database, Role: in.Branch.Role}
	if in.Version != nil {
		spec.PgVersion = *in.Version
	}
	if spec.PgVersion < 14 || spec.PgVersion > 18 {
		return Spec{}, refuse(http.StatusBadRequest, "request body has an error: pg_version must be from 14 to 18")
	}
	if spec.Region != "" && !slices.Contains(regions, spec.Region) {
		return Spec{}, refuse(http.StatusBadRequest, "region %q is unknown, must be one of %s", spec.Region,
			strings.Join(regions, ", "))
	}
	spec.Database = cmp.Or(spec.Database, "neondb")
	spec.Role = cmp.Or(spec.Role, spec.Database+"_owner")
	if err := checkSQLName("database_name", spec.Database); err != nil {
		return Spec{}, err
	}
	if err := checkSQLName("role_name", spec.Role); err != nil {
		return Spec{}, err
	}
	if in.Branch.Name != nil {
		if err := checkName("branch.name", *in.Branch.Name); err != nil {
			return Spec{}, err
		}
	}
	return spec, nil
}

// deleteProject keeps the project's data, as Neon does for seven days, but closes it to connections. Deleting it
// twice is no error.
func (s *Server) deleteProject(r *request) (int, any, error) {
	s.mu.Lock()
	p := s.byID[r.PathValue("project_id")]
	var err error
	switch {
	case p == nil || !r.caller.sees(p):
		err = refuse(http.StatusNotFound, "project not found")
	case r.caller.project != "":
		err = refuse(http.StatusForbidden, "a project-scoped API key can't delete its project")
	case slices.ContainsFunc(p.branches, func(b *branch) bool { return b.protected }):
		err = refuse(http.StatusUnprocessableEntity, "a project with protected branches can't be deleted")
	case p.deleted != nil:
		defer s.mu.Unlock()
		return http.StatusOK, map[string]any{"project": p.details()}, nil
	default:
		err = p.begin()
	}
	s.mu.Unlock()
	if err != nil {
		return 0, nil, err
	}
	if err := s.setLogin(context.WithoutCancel(r.Context()), p, false); err != nil {
		s.end(p)
		return 0, nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	p.deleted, p.changing = &now, false
	return http.StatusOK, map[string]any{"project": p.details()}, nil
}

func (s *Server) recoverProject(r *request) (int, any, error) {
	s.mu.Lock()
	p := s.byID[r.PathValue("project_id")]
	var err error
	if p == nil || !r.caller.sees(p) || p.deleted == nil || s.clock.now().Sub(*p.deleted) > recoverable {
		err = refuse(http.StatusNotFound, "project not found")
	} else {
		err = p.begin()
	}
	s.mu.Unlock()
	if err != nil {
		return 0, nil, err
	}
	if err := s.setLogin(context.WithoutCancel(r.Context()), p, true); err != nil {
		s.end(p)
		return 0, nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	p.deleted, p.changing = nil, false
	return http.StatusOK, map[string]any{"project": p.details(), "branches": p.branchViews()}, nil
}

// setLogin opens all of a project's roles, or closes them and ends their sessions.
func (s *Server) setLogin(ctx context.Context, p *project, open bool) error {
	if p.shared {
		return nil
	}
	s.mu.Lock()
	option := " NOLOGIN"
	if open {
		option = " LOGIN"
	}
	var statements, databases []string
	for _, b := range p.branches {
		databases = append(databases, b.realDatabases()...)
		for _, r := range b.roles {
			statements = append(statements, "ALTER ROLE "+pgtest.Identifier(r.real)+option)
		}
	}
	s.mu.Unlock()
	if err := s.pg.Exec(ctx, "postgres", statements...); err != nil || open {
		return err
	}
	return s.disconnect(ctx, databases...)
}
