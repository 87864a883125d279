package source

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/input"
	"github.com/org/neon-tenants-action/internal/neon/neontest"
	"github.com/org/neon-tenants-action/internal/postgres"
	"github.com/org/neon-tenants-action/internal/postgres/pgtest"
)

// provisioner is a source that creates and drops tenants.
type provisioner interface {
	fleet.Source
	fleet.Provisioner
}

// place is one source's fleet on real servers, empty at first.
type place struct {
	inputs map[string]string
	// costly is true if tenants are slow to create; then only some of the names are tried.
	costly bool
	// prefix begins every name, because tenants of several tests share a server.
	prefix string
	// plant lists a tenant under a hostile name, as no run would. Nil if nobody can.
	plant func(t *testing.T, name string)
	// squat creates what a tenant of that name would live in, with somebody else's table, and lists it nowhere. Nil if
	// everything is listed.
	squat func(t *testing.T, name string)
}

// places are the sources that create tenants.
var places = map[string]func(t *testing.T) place{
	"neon": func(t *testing.T) place {
		sim, _ := simulate(t, neontest.Options{OperationTime: quick})
		return place{
			inputs: map[string]string{"tenant-source": "neon", "neon-api-key": neontest.OrgKey,
				"neon-api-url": sim.URL()}, costly: true,
			plant: func(t *testing.T, name string) {
				t.Helper()
				if _, err := sim.AddProject(t.Context(), neontest.Spec{Name: name}); err != nil {
					t.Fatal(err)
				}
			},
		}
	},
	"catalog": func(t *testing.T) place {
		url := pgtest.Database(t)
		role := run(t, url, "select current_user::text")
		server := pgtest.Shared(t)
		if err := server.Exec(t.Context(), "postgres", "alter role "+pgtest.Identifier(role)+" createdb"); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { dropOwned(t, server, role) })
		return place{
			inputs: map[string]string{"tenant-source": "catalog", "database-url": url},
			prefix: role[len(role)-6:] + "_",
			squat: func(t *testing.T, name string) {
				t.Helper()
				if err := server.CreateDatabase(t.Context(), name, role, ""); err != nil {
					t.Fatal(err)
				}
				if err := server.Exec(t.Context(), name, "create table theirs ()"); err != nil {
					t.Fatal(err)
				}
			},
		}
	},
	"schemas": func(t *testing.T) place {
		url := pgtest.Database(t)
		run(t, url, "create schema registry")
		return place{
			inputs: map[string]string{"tenant-source": "schemas", "database-url": url,
				"schema-tracker": "registry.tracker"},
			plant: func(t *testing.T, name string) {
				t.Helper()
				run(t, url, "insert into registry.tracker (name) values ("+pgtest.Literal(name)+") returning name")
			},
			squat: func(t *testing.T, name string) {
				t.Helper()
				run(t, url, "create schema "+pgtest.Identifier(name))
				run(t, url, "create table "+pgtest.Identifier(name)+".theirs as select 1")
			},
		}
	},
}

// next returns the source as the next run has it: without any memory of the last one.
func (p place) next(t *testing.T) provisioner {
	t.Helper()
	s, ok := p.source(t).(provisioner)
	if !ok {
		t.Fatalf("%v creates no tenants", p.inputs["tenant-source"])
	}
	return s
}

// source is next for a source that need not create tenants.
func (p place) source(t *testing.T) fleet.Source {
	t.Helper()
	var args []string
	for name, value := range p.inputs {
		args = append(args, "--"+name, value)
	}
	text, err := os.ReadFile("../../action.yml")
	if err != nil {
		t.Fatal(err)
	}
	definition, err := input.ParseDefinition(text)
	if err != nil {
		t.Fatal(err)
	}
	in, err := input.New(definition, args, func(string) (string, bool) { return "", false })
	if err != nil {
		t.Fatal(err)
	}
	s := New(in, Options{
		Creating: true, Ledger: postgres.Ledger{Table: postgres.Table{Name: "schema_migrations"}},
	})
	if c, ok := s.(fleet.Closer); ok {
		t.Cleanup(c.Close)
	}
	if err := in.Err(); err != nil {
		t.Fatal(err)
	}
	return s
}

// list returns what the next run finds, by name.
func (p place) list(t *testing.T) (provisioner, map[string]fleet.Tenant) {
	t.Helper()
	s := p.next(t)
	return s, listed(t, s)
}

// listed returns what a source finds, by name.
func listed(t *testing.T, s fleet.Source) map[string]fleet.Tenant {
	t.Helper()
	tenants, err := s.Tenants(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	found, ids := map[string]fleet.Tenant{}, map[string]bool{}
	for _, tenant := range tenants {
		if _, twice := found[tenant.Name]; twice || tenant.ID == "" || ids[tenant.ID] {
			t.Errorf("%+v is listed with %+v", tenant, found[tenant.Name])
		}
		found[tenant.Name], ids[tenant.ID] = tenant, true
	}
	return found
}

// create creates and registers a tenant as the mode does.
func create(t *testing.T, s provisioner, name string) (fleet.Tenant, bool) {
	t.Helper()
	tenant, created, err := s.Create(t.Context(), name, nil, slog.New(slog.DiscardHandler))
	if err == nil {
		err = s.Register(t.Context(), tenant)
	}
	if err != nil {
		t.Errorf("create %q: %v; remedy: %s", name, err, fleet.Remedy(err))
	}
	return tenant, created
}

func remove(t *testing.T, s provisioner, tenant fleet.Tenant) {
	t.Helper()
	err := s.CheckDrop(tenant)
	if err == nil {
		err = s.Drop(t.Context(), tenant, slog.New(slog.DiscardHandler))
	}
	if err != nil {
		t.Errorf("drop %q: %v; remedy: %s", tenant.Name, err, fleet.Remedy(err))
	}
}

// ask runs SQL where a job's would run, and returns its first value, or an error if the tenant can't be reached.
func ask(t *testing.T, s fleet.Source, tenant fleet.Tenant, sql string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	url, err := s.URL(ctx, tenant)
	if err != nil {
		return "", err
	}
	conn, err := pgx.Connect(ctx, url.Reveal())
	if err != nil {
		return "", err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	if schemas, ok := s.(fleet.SchemaHost); ok {
		sql = "set search_path = " + pgtest.Identifier(schemas.Schema(tenant)) + ";" + sql
	}
	results, err := conn.PgConn().Exec(ctx, sql).ReadAll()
	if err != nil {
		return "", err
	}
	if last := results[len(results)-1]; len(last.Rows) > 0 {
		return string(last.Rows[0][0]), nil
	}
	return "", nil
}

// wants compares what ask returns.
func wants(t *testing.T, s fleet.Source, tenant fleet.Tenant, sql, want string) {
	t.Helper()
	if got, err := ask(t, s, tenant, sql); err != nil || got != want {
		t.Errorf("%s: %s gives %q, %v; want %q", tenant.Name, sql, got, err, want)
	}
}

// dropOwned drops the databases that a role owns.
func dropOwned(t *testing.T, server *pgtest.Server, role string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	var names []string
	err := server.Superuser(ctx, "postgres", func(conn *pgx.Conn) (err error) {
		rows, err := conn.Query(ctx, "select datname from pg_database where pg_get_userbyid(datdba) = $1 and datname "+
			"<> $1", role)
		if err == nil {
			names, err = pgx.CollectRows(rows, pgx.RowTo[string])
		}
		return err
	})
	for _, name := range names {
		err = errors.Join(err, server.Exec(ctx, "postgres", "drop database "+pgtest.Identifier(name)+" with (force)"))
	}
	if err != nil {
		t.Error(err)
	}
}
