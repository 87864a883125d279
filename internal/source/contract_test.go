package source

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/input"
	"github.com/org/neon-tenants-action/internal/neon/neontest"
	"github.com/org/neon-tenants-action/internal/postgres/pgtest"
)

// provisioner is a source that creates tenants and drops them.
type provisioner interface {
	fleet.Source
	fleet.Provisioner
}

// place is one source's fleet on real servers, empty at first.
type place struct {
	inputs map[string]string
	// costly says that tenants are slow to make, so that not every name is tried in full.
	costly bool
	// prefix goes before every name, where the tenants of all places live side by side.
	prefix string
	// plant lists a tenant that no run would make, under a hostile name. Nil: that can't be.
	plant func(t *testing.T, name string)
	// squat makes what a tenant of that name would live in, with somebody else's table, and lists it nowhere. Nil: all is listed.
	squat func(t *testing.T, name string)
}

// places are the sources that the contract holds for.
var places = map[string]func(t *testing.T) place{
	"neon": func(t *testing.T) place {
		sim, _ := simulate(t, neontest.Options{OperationTime: quick})
		return place{
			inputs: map[string]string{"tenant-source": "neon", "neon-api-key": neontest.OrgKey, "neon-api-url": sim.URL()}, costly: true,
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
			inputs: map[string]string{"tenant-source": "catalog", "database-url": url}, prefix: role[len(role)-6:] + "_",
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
			inputs: map[string]string{"tenant-source": "schemas", "database-url": url, "schema-tracker": "registry.tracker"},
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

// next is the source as the next run has it: it knows nothing of what the last one did.
func (p place) next(t *testing.T) provisioner {
	t.Helper()
	s, ok := p.source(t).(provisioner)
	if !ok {
		t.Fatalf("%v makes no tenants", p.inputs["tenant-source"])
	}
	return s
}

// source is next where nothing has to be made.
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
	s := New(in, Options{Creating: true})
	if c, ok := s.(fleet.Closer); ok {
		t.Cleanup(c.Close)
	}
	if err := in.Err(); err != nil {
		t.Fatal(err)
	}
	return s
}

// list is what the next run finds, by name.
func (p place) list(t *testing.T) (provisioner, map[string]fleet.Tenant) {
	t.Helper()
	s := p.next(t)
	return s, listed(t, s)
}

// listed is what a source finds, by name.
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

// create makes and lists a tenant as the mode does.
func create(t *testing.T, s provisioner, name string) (fleet.Tenant, bool) {
	t.Helper()
	tenant, made, err := s.Create(t.Context(), name, slog.New(slog.DiscardHandler))
	if err == nil {
		err = s.Register(t.Context(), tenant)
	}
	if err != nil {
		t.Errorf("create %q: %v; remedy: %s", name, err, fleet.Remedy(err))
	}
	return tenant, made
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

// ask runs SQL where a job's would run, and returns its first value; an error where the tenant can't be reached.
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
	if schemas, ok := s.(interface{ Schema(t fleet.Tenant) string }); ok {
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

// wants asks and compares.
func wants(t *testing.T, s fleet.Source, tenant fleet.Tenant, sql, want string) {
	t.Helper()
	if got, err := ask(t, s, tenant, sql); err != nil || got != want {
		t.Errorf("%s: %s gives %q, %v; want %q", tenant.Name, sql, got, err, want)
	}
}

const tables = "select count(*) from pg_class where relkind = 'r' and relnamespace = current_schema::regnamespace"

// TestContract is what every source that makes tenants keeps to.
func TestContract(t *testing.T) {
	for name, open := range places {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, clause := range []struct {
				name string
				hold func(t *testing.T, p place)
			}{
				{"made, found and reached", contractLife},
				{"cut off between making and listing", contractCut},
				{"names", contractNames},
				{"what is there already", contractSquat},
				{"many at once", contractConcurrent},
				{"stopped", contractStopped},
			} {
				t.Run(clause.name, func(t *testing.T) {
					t.Parallel()
					clause.hold(t, open(t))
				})
			}
		})
	}
}

func contractLife(t *testing.T, p place) {
	acmeCorp, globexName := p.prefix+"acme_corp", p.prefix+"globex"
	first := p.next(t)
	if tenants, err := first.Tenants(t.Context()); err != nil || len(tenants) != 0 {
		t.Fatalf("an empty fleet lists %v, %v", tenants, err)
	}
	acme, made := create(t, first, acmeCorp)
	globex, madeToo := create(t, first, globexName)
	if !made || !madeToo || acme.ID == globex.ID {
		t.Errorf("made %t, %t: %+v, %+v", made, madeToo, acme, globex)
	}
	again, made := create(t, first, acmeCorp)
	other, madeToo := create(t, p.next(t), acmeCorp)
	if made || madeToo || again.ID != acme.ID || other.ID != acme.ID {
		t.Errorf("a second time %+v (made %t) and %+v (made %t), want %+v", again, made, other, madeToo, acme)
	}
	s, found := p.list(t)
	if len(found) != 2 || found[acmeCorp].ID != acme.ID || found[globexName].ID != globex.ID {
		t.Fatalf("listed %v, made %+v and %+v", found, acme, globex)
	}
	for name, tenant := range found {
		wants(t, s, tenant, tables, "0") // nothing is put into a new tenant
		if _, err := ask(t, s, tenant, "create table whose as select "+pgtest.Literal(name)+" as name"); err != nil {
			t.Error(err)
		}
	}
	for name, tenant := range found {
		wants(t, s, tenant, "select name from whose", name)
	}
	remove(t, s, found[globexName])
	remove(t, s, found[globexName])
	if _, err := ask(t, s, found[globexName], "select name from whose"); err == nil {
		t.Error("a dropped tenant is reached")
	}
	s, left := p.list(t)
	if len(left) != 1 {
		t.Errorf("after the drop there are %v", left)
	}
	wants(t, s, left[acmeCorp], "select name from whose", acmeCorp)
	// One of the name again is a new one.
	create(t, p.next(t), globexName)
	s, found = p.list(t)
	wants(t, s, found[globexName], tables, "0")
}

// A run that is killed after it made a tenant and before it listed it leaves what the next one takes up.
func contractCut(t *testing.T, p place) {
	acmeCorp := p.prefix + "acme_corp"
	tenant, made, err := p.next(t).Create(t.Context(), acmeCorp, slog.New(slog.DiscardHandler))
	if err != nil || !made {
		t.Fatalf("made %t, %v", made, err)
	}
	if again, made := create(t, p.next(t), acmeCorp); made || again.ID != tenant.ID {
		t.Errorf("taken up %+v (made %t), want %+v", again, made, tenant)
	}
	s, found := p.list(t)
	if len(found) != 1 {
		t.Errorf("there are %v", found)
	}
	wants(t, s, found[acmeCorp], tables, "0")
}

// hostile are names that mean something to SQL, to a shell, to a URL, or to nobody.
var hostile = []string{
	`a"; drop schema public cascade; --`, `a'; drop table x; --`, "a\nb", "a\x00b", "", " ", " a", "a/b?c=d#e", "%2e%2e", "$(id)", "${x}", "`id`", `a\b`,
	"東京", "É", "e\u0301", "a\u202eb", "\U0001F600", strings.Repeat("x", 64), strings.Repeat("é", 32), strings.Repeat("x", 257),
	"public", "pg_catalog", "pg_x", "PG_X", "information_schema", "template0", "template1", "postgres", "select", "user", "table", "1a", "a-b", "a.b", "*",
}

func contractNames(t *testing.T, p place) {
	s := p.next(t)
	var tried []string
	var group sync.WaitGroup
	for i, name := range hostile {
		if err := s.CheckName(name); err != nil {
			// Create refuses it as well, or the mode's check would be all that there is.
			if _, made, err := s.Create(t.Context(), name, slog.New(slog.DiscardHandler)); err == nil || made {
				t.Errorf("%q is refused, and made all the same", name)
			}
			continue
		}
		if p.costly && i%8 != 0 {
			continue
		}
		tried = append(tried, name)
		group.Go(func() { create(t, s, name) })
	}
	group.Wait()
	s, found := p.list(t)
	if len(found) != len(tried) {
		t.Errorf("made %q, listed %v", tried, found)
	}
	for _, name := range tried {
		wants(t, s, found[name], tables, "0")
		remove(t, s, found[name])
	}
	if p.plant == nil {
		return
	}
	// Somebody else listed them: each is worked on safely or refused under its name, and hinders no other.
	create(t, s, p.prefix+"sound")
	var planted []string
	for _, name := range hostile {
		if name != "" && !strings.Contains(name, "\x00") && strings.TrimSpace(name) != "" && len([]rune(name)) <= 256 {
			p.plant(t, name)
			planted = append(planted, name)
		}
	}
	s, found = p.list(t)
	for i, name := range planted {
		tenant, ok := found[name]
		if !ok {
			t.Errorf("%q is not listed", name)
		}
		if !ok || p.costly && i%8 != 0 {
			continue
		}
		if _, err := ask(t, s, tenant, "select 1"); err != nil && p.costly {
			t.Errorf("%q can't be reached: %v", name, err)
		}
		if err := s.CheckDrop(tenant); err != nil && fleet.Remedy(err) == "" {
			t.Errorf("%q may not be dropped, without a remedy: %v", name, err)
		}
	}
	wants(t, s, found[p.prefix+"sound"], tables, "0")
}

// What somebody else made under the name, and listed nowhere, is not taken for the tenant.
func contractSquat(t *testing.T, p place) {
	acmeCorp := p.prefix + "acme_corp"
	if p.squat == nil {
		t.Skip("all that there is is listed")
	}
	p.squat(t, acmeCorp)
	if tenant, made, err := p.next(t).Create(t.Context(), acmeCorp, slog.New(slog.DiscardHandler)); err == nil || made || fleet.Remedy(err) == "" {
		t.Errorf("took it for %+v: made %t, %v, remedy %q", tenant, made, err, fleet.Remedy(err))
	}
	if _, found := p.list(t); len(found) != 0 {
		t.Errorf("listed %v", found)
	}
}

// Runs at once, each a source of its own, some for the same name: one tenant a name.
func contractConcurrent(t *testing.T, p place) {
	names := []string{p.prefix + "acme", p.prefix + "globex", p.prefix + "initech"}
	var group sync.WaitGroup
	var mu sync.Mutex
	ids := map[string]map[string]bool{}
	for i := range 3 * len(names) {
		s, name := p.next(t), names[i%len(names)]
		group.Go(func() {
			tenant, _ := create(t, s, name)
			mu.Lock()
			defer mu.Unlock()
			if ids[name] == nil {
				ids[name] = map[string]bool{}
			}
			ids[name][tenant.ID] = true
		})
	}
	group.Wait()
	s, found := p.list(t)
	if len(found) != len(names) {
		t.Errorf("there are %v", found)
	}
	for name, tenant := range found {
		if len(ids[name]) != 1 || !ids[name][tenant.ID] {
			t.Errorf("%s is %s, and the runs had %v", name, tenant.ID, ids[name])
		}
		for range 3 {
			group.Go(func() { remove(t, s, tenant) })
		}
	}
	group.Wait()
	if _, found := p.list(t); len(found) != 0 {
		t.Errorf("after dropping all there are %v", found)
	}
}

// A run that is stopped ends soon, and the next one completes what it began.
func contractStopped(t *testing.T, p place) {
	over, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("stopped"))
	s := p.next(t)
	log := slog.New(slog.DiscardHandler)
	began := time.Now()
	for what, err := range map[string]error{
		"list":   func() error { _, err := s.Tenants(over); return err }(),
		"create": func() error { _, _, err := s.Create(over, p.prefix+"acme", log); return err }(),
	} {
		if err == nil {
			t.Errorf("%s went on although the run was over", what)
		}
	}
	var group sync.WaitGroup
	for i := range 6 {
		s, name := p.next(t), fmt.Sprintf("%st%d", p.prefix, i)
		group.Go(func() {
			ctx, cancel := context.WithCancelCause(t.Context())
			defer cancel(nil)
			time.AfterFunc(time.Duration(i*i*8)*time.Millisecond, func() { cancel(errors.New("stopped")) })
			if tenant, _, err := s.Create(ctx, name, log); err == nil {
				_ = s.Register(ctx, tenant) // or not
			}
		})
	}
	group.Wait()
	if took := time.Since(began); took > 20*time.Second {
		t.Errorf("ended after %s", took)
	}
	for i := range 6 {
		s, name := p.next(t), fmt.Sprintf("%st%d", p.prefix, i)
		group.Go(func() { create(t, s, name) })
	}
	group.Wait()
	s, found := p.list(t)
	if len(found) != 6 {
		t.Errorf("there are %v", found)
	}
	for _, tenant := range found {
		wants(t, s, tenant, tables, "0")
	}
}

// The source secrets makes no tenants; of the contract it keeps what concerns finding and reaching them.
func TestContractOfSecrets(t *testing.T) {
	t.Parallel()
	given := map[string]string{"NPM_TOKEN": "npm_x", "acme_corp": "no"}
	for _, name := range []string{"ACME_CORP", "GLOBEX"} {
		url := pgtest.Database(t)
		given[name+"_DATABASE_URL"] = url
		run(t, url, "create table whose as select "+pgtest.Literal(fleet.Slug(name))+" as name")
	}
	text, err := json.Marshal(given)
	if err != nil {
		t.Fatal(err)
	}
	p := place{inputs: map[string]string{"tenant-source": "secrets", "tenant-secrets": string(text)}}
	s := p.source(t)
	if _, ok := s.(provisioner); ok {
		t.Error("it makes tenants")
	}
	found, again := listed(t, s), listed(t, p.source(t))
	if len(found) != 2 {
		t.Errorf("listed %v", found)
	}
	for name, tenant := range found {
		if again[name] != tenant {
			t.Errorf("the next run has %+v, this one %+v", again[name], tenant)
		}
		wants(t, s, tenant, "select name from whose", name)
	}
	if _, err := s.URL(t.Context(), fleet.Tenant{Name: "initech", ID: "initech"}); err == nil {
		t.Error("one that is not there has a connection string")
	}
}

// dropOwned drops the databases that a role has made.
func dropOwned(t *testing.T, server *pgtest.Server, role string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	var names []string
	err := server.Superuser(ctx, "postgres", func(conn *pgx.Conn) (err error) {
		rows, err := conn.Query(ctx, "select datname from pg_database where pg_get_userbyid(datdba) = $1 and datname <> $1", role)
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
