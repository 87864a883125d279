package neontest

import (
	"context"
	"net/http"
	"slices"

	"github.com/org/neon-tenants-action/internal/postgres/pgtest"
)

type restoreBody struct {
	Source    string `json:"source_branch_id"`
	LSN       string `json:"source_lsn"`
	Timestamp string `json:"source_timestamp"`
	Preserve  string `json:"preserve_under_name"`
}

// restoreBranch replaces a branch's databases with copies of another branch's, or with earlier ones. Sessions end, and
// connection strings stay the same.
func (s *Server) restoreBranch(r *request) (int, any, error) {
	var body restoreBody
	if err := r.decode(&body, false); err != nil {
		return 0, nil, err
	}
	if body.Source == "" {
		return 0, nil, refuse(http.StatusBadRequest, "request body has an error: property \"source_branch_id\" is missing")
	}
	s.mu.Lock()
	change, err := s.beginRestore(r, &body)
	s.mu.Unlock()
	if err != nil {
		return 0, nil, err
	}
	b, p := change.branch, change.branch.project
	ctx := context.WithoutCancel(r.Context())
	if change.fails {
		change.now.roles = b.roles
		change.now.databases, err = s.copyDatabases(ctx, &b.contents, b.roles, false)
	} else {
		err = change.replaceDatabases(ctx, s)
	}
	if err != nil {
		s.end(p)
		return 0, nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if change.fails {
		change.fail(s)
	} else {
		change.finish(s)
	}
	operations := s.schedule(p, slices.Concat(b.computeSteps("suspend_compute"),
		[]step{{action: "create_branch", branch: b, failed: change.fails}}, b.computeSteps("start_compute"))...)
	b.ready = p.busyUntil
	return http.StatusOK, map[string]any{"branch": b.view(), "operations": operations}, nil
}

// restore is the change that restores a branch.
type restore struct {
	branch   *branch
	from     *kept
	reset    bool     // to the head of its parent
	preserve *branch  // takes over what the branch was; nil if nothing does
	now      contents // what the branch becomes
	dropped  []string // databases on the real server
	fails    bool     // once it has been accepted
}

// beginRestore starts the change. Called with the lock held.
func (s *Server) beginRestore(r *request, body *restoreBody) (*restore, error) {
	b, err := s.findBranch(r)
	if err != nil {
		return nil, err
	}
	p := b.project
	source := p.branch(body.Source)
	if source == nil {
		return nil, refuse(http.StatusNotFound, "source branch not found")
	}
	change := &restore{branch: b, from: &kept{contents: source.contents}}
	at := point{body.Timestamp, body.LSN}
	change.reset = source == b.parent && at.isHead()
	if err := b.checkRestore(source, at, body.Preserve); err != nil {
		return nil, err
	}
	if !at.isHead() {
		if change.from, err = source.past(at); err != nil {
			return nil, err
		}
	}
	if err := p.begin(); err != nil {
		return nil, err
	}
	if body.Preserve != "" {
		change.fails, p.failRestore = p.failRestore, false
		change.preserve = &branch{
			project: p, id: newID("br"), name: body.Preserve, parent: b.parent, parentLSN: b.parentLSN,
			parentTime: b.parentTime, created: s.now(), updated: b.updated, ready: b.ready, initSource: b.initSource,
		}
	}
	return change, nil
}

// checkRestore refuses to restore the branch. Messages about points in time are not Neon's, which are unknown.
func (b *branch) checkRestore(source *branch, at point, preserve string) error {
	p := b.project
	switch {
	case p.shared:
		return refuse(http.StatusNotImplemented, "the simulator can't restore a project on a shared database")
	case b == source && at.isHead():
		return refuse(http.StatusBadRequest, "source_timestamp or source_lsn is required if the branch is its own source")
	case !at.isHead() && source.parent != nil:
		return refuse(http.StatusUnprocessableEntity, "only root branches can be restored to a point in time")
	case b.protected && source == b.parent:
		return refuse(http.StatusUnprocessableEntity, "cannot reset a protected branch")
	case preserve == "" && (len(b.children()) > 0 || b == source):
		return refuse(http.StatusUnprocessableEntity,
			"preserve_under_name is required if the branch has children or is restored from itself")
	case preserve == "":
		return nil
	}
	if err := p.checkBranchName("preserve_under_name", preserve, nil); err != nil {
		return err
	}
	return p.checkNewBranch(b.parent == nil)
}

// replaceDatabases copies the source's databases, and gives the copies the names that the branch's databases have on
// the real server. Those move to the branch that preserves them, or are dropped. Roles that the branch has keep their
// passwords.
func (c *restore) replaceDatabases(ctx context.Context, s *Server) (err error) {
	b := c.branch
	for _, r := range c.from.roles {
		if own := b.role(r.name); own != nil {
			r = own
		}
		c.now.roles = append(c.now.roles, r)
	}
	if c.now.databases, err = s.copyDatabases(ctx, &c.from.contents, c.now.roles, false); err != nil {
		return err
	}
	for _, old := range b.databases {
		moved := *old
		moved.real = realName(old.name)
		if err := s.takeAway(ctx, old.real, moved.real); err != nil {
			return err
		}
		if d := c.now.database(old.name); d != nil {
			if err := s.rename(ctx, d.real, old.real); err != nil {
				return err
			}
			d.real = old.real
		}
		if c.preserve == nil {
			c.dropped = append(c.dropped, moved.real)
			continue
		}
		if err := s.allowConnections(ctx, moved.real, true); err != nil {
			return err
		}
		c.preserve.databases = append(c.preserve.databases, &moved)
	}
	return nil
}

// takeAway ends a database's sessions and renames it. Until then nobody can connect to it again.
func (s *Server) takeAway(ctx context.Context, from, to string) error {
	err := s.allowConnections(ctx, from, false)
	if err == nil {
		err = s.disconnect(ctx, from)
	}
	if err == nil {
		err = s.rename(ctx, from, to)
	}
	return err
}

func (s *Server) allowConnections(ctx context.Context, database string, allow bool) error {
	value := "false"
	if allow {
		value = "true"
	}
	return s.pg.Exec(ctx, "postgres", "ALTER DATABASE "+pgtest.Identifier(database)+" ALLOW_CONNECTIONS "+value)
}

func (s *Server) rename(ctx context.Context, from, to string) error {
	return s.pg.Exec(ctx, "postgres", "ALTER DATABASE "+pgtest.Identifier(from)+" RENAME TO "+pgtest.Identifier(to))
}

// fail makes the branch that was to preserve what the branch was, with a copy of what it is. Called with the lock held.
func (c *restore) fail(s *Server) {
	c.preserve.contents = c.now
	c.branch.project.branches = append(c.branch.project.branches, c.preserve)
	for _, d := range c.preserve.databases {
		d.id = s.nextID()
		s.byDatabase[d.real] = c.preserve
	}
}

// finish gives the branch its new contents, and what it was to the branch that preserves it, which takes over its
// children. Called with the lock held.
func (c *restore) finish(s *Server) {
	b, now := c.branch, s.now()
	for _, d := range b.databases {
		delete(s.byDatabase, d.real)
	}
	if c.preserve != nil {
		c.preserve.roles, c.preserve.history, b.history = b.roles, b.history, nil
		for _, child := range b.children() {
			child.parent = c.preserve
		}
		b.project.branches = append(b.project.branches, c.preserve)
		for _, d := range c.preserve.databases {
			s.byDatabase[d.real] = c.preserve
		}
	}
	c.dropped = append(c.dropped, b.takeHistory()...)
	s.inBackground(func(ctx context.Context) error { return s.drop(ctx, c.dropped...) })
	b.contents, b.updated, b.reset = c.now, now, &now
	for _, d := range b.databases {
		d.id = s.nextID()
		s.byDatabase[d.real] = b
	}
	if c.reset {
		b.restart(s.clock.now())
	}
}
