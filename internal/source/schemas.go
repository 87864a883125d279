package source

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/input"
	"github.com/org/neon-tenants-action/internal/postgres"
	"github.com/org/neon-tenants-action/internal/remedies"
	"github.com/org/neon-tenants-action/internal/words"
)

// Schemas is the source whose tenants are schemas of one database, listed in a table of it.
type Schemas struct {
	url     fleet.Secret
	target  postgres.Target
	list    postgres.SchemaList
	options postgres.Options
	// versions is the table of applied migrations in a tenant. It is set only for the mode that creates tenants.
	versions postgres.Ledger
	// expectList is true if a list that does not exist counts as empty, because it is about to be created.
	expectList bool
	warn       func(string)

	mu     sync.Mutex
	conn   *postgres.Conn // nil: none is open, or it is lent
	listed map[string]bool
}

var (
	_ fleet.SchemaHost  = (*Schemas)(nil)
	_ fleet.Provisioner = (*Schemas)(nil)
	_ fleet.Orphans     = (*Schemas)(nil)
	_ fleet.Closer      = (*Schemas)(nil)
	_ fleet.Searcher    = (*Schemas)(nil)
	_ postgres.Lender   = (*Schemas)(nil)
)

func newSchemas(in *input.Reader, o Options) fleet.Source {
	s := &Schemas{
		url: fleet.TrustedSecret(in.Secret("database-url")),
		list: input.Parse(in, "schema-tracker", func(text string) (postgres.SchemaList, error) {
			table, err := postgres.ParseTable(text)
			if table.Bare() {
				table = table.In("public")
			}
			return postgres.SchemaList{Table: table}, err
		}),
		options: postgres.Options{ReadOnly: in.Bool("dry-run"), NoSearchPath: true},
		listed:  map[string]bool{},
		warn:    o.warn,
	}
	s.target = readDatabaseURL(in, s.url, o)
	if o.Creating {
		s.ExpectList()
		s.versions = o.Ledger
	}
	return s
}

// Tenants implements [fleet.Source] with the listed schemas, whether they exist or not.
func (s *Schemas) Tenants(ctx context.Context) ([]fleet.Tenant, error) {
	var names, blank []string
	err := s.with(ctx, nil, func(c *postgres.Conn) (err error) {
		names, blank, err = s.list.Names(ctx, c)
		return err
	})
	if missing := (*postgres.MissingListError)(nil); s.expectList && errors.As(err, &missing) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if len(blank) > 0 {
		s.warn(namesNoSchema(s.list, blank))
	}
	tenants := make([]fleet.Tenant, len(names))
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, name := range names {
		tenants[i] = fleet.Tenant{Name: name, ID: name}
		s.listed[name] = true
	}
	return tenants, nil
}

// Searched implements [fleet.Searcher].
func (s *Schemas) Searched() (looked, remedy string) {
	return fmt.Sprintf("every name in %s of %s counts", s.list, s.target),
		"check that schema-tracker and database-url name the right table and database, or add tenants with mode create-tenant"
}

// namesNoSchema says which rows of the list are skipped, and how to delete them.
func namesNoSchema(list postgres.SchemaList, blank []string) string {
	const shown = 5
	return fmt.Sprintf("rows of %s that name no schema are skipped (name is %s); delete them: "+
		"delete from %s where name is null or name::text !~ '[^[:space:]]'", list, words.List(blank, shown),
		list.Table.Quoted())
}

// URL implements [fleet.Source] with the database's own connection string. A listed name that no tenant's schema can
// have is refused here, so that it fails that tenant only.
func (s *Schemas) URL(_ context.Context, t fleet.Tenant) (fleet.Secret, error) {
	if err := s.usable(t); err != nil {
		return fleet.Secret{}, err
	}
	return s.url, nil
}

// usable returns an error for the system's own schemas, and for the one that the list is kept in.
func (s *Schemas) usable(t fleet.Tenant) error {
	err := postgres.SchemaUsable(t.ID)
	if err == nil && t.ID == s.list.Schema() {
		err = errHoldsList(s.list)
	}
	if err != nil {
		return fleet.WithRemedy(fmt.Errorf("schema name %q %w", t.ID, err),
			fmt.Sprintf("remove it from %s, or rename the schema", s.list))
	}
	return nil
}

// errHoldsList completes "schema name "registry" …".
func errHoldsList(list postgres.SchemaList) error {
	return fmt.Errorf("is where the list %s is kept", list)
}

// Schema implements [fleet.SchemaHost].
func (s *Schemas) Schema(t fleet.Tenant) string { return t.ID }

// Database implements [fleet.SchemaHost].
func (s *Schemas) Database() fleet.Secret { return s.url }

// ExpectList implements [fleet.SchemaHost].
func (s *Schemas) ExpectList() { s.expectList = true }

// Lend implements [postgres.Lender] with the connection that listing left open.
func (s *Schemas) Lend() *postgres.Conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.conn
	s.conn = nil
	return c
}

// Close implements [fleet.Closer]: it closes the connection, unless that was lent.
func (s *Schemas) Close() {
	if c := s.Lend(); c != nil {
		c.Close()
	}
}

// with calls do with a connection, which is reused and kept open for the next call.
func (s *Schemas) with(ctx context.Context, log *slog.Logger, do func(*postgres.Conn) error) error {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	c := s.Lend()
	if c != nil && !c.Alive() {
		c.Close()
		c = nil
	}
	if c == nil {
		o := s.options
		o.Log = log
		var err error
		if c, err = postgres.Connect(ctx, s.target, o); err != nil {
			return remedies.Explain(err)
		}
	}
	c.SetLog(log)
	err := remedies.Explain(do(c))
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conn != nil || !c.Idle() {
		c.Close()
		return err
	}
	c.SetLog(slog.New(slog.DiscardHandler))
	s.conn = c
	return err
}
