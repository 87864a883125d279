package source

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/postgres/pgtest"
)

const tables = "select count(*) from pg_class where relkind = 'r' and relnamespace = current_schema::regnamespace"

// TestContract holds for every source that creates tenants.
func TestContract(t *testing.T) {
	for name, open := range places {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, clause := range []struct {
				name string
				hold func(t *testing.T, p place)
			}{
				{"created, found and reached", contractLife},
				{"cut off between creating and registering", contractCut},
				{"names", contractNames},
				{"what exists already", contractSquat},
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
	acme, created := create(t, first, acmeCorp)
	globex, createdToo := create(t, first, globexName)
	if !created || !createdToo || acme.ID == globex.ID {
		t.Errorf("created %t, %t: %+v, %+v", created, createdToo, acme, globex)
	}
	again, created := create(t, first, acmeCorp)
	other, createdToo := create(t, p.next(t), acmeCorp)
	if created || createdToo || again.ID != acme.ID || other.ID != acme.ID {
		t.Errorf("a second time %+v (created %t) and %+v (created %t), want %+v", again, created, other, createdToo,
			acme)
	}
	s, found := p.list(t)
	if len(found) != 2 || found[acmeCorp].ID != acme.ID || found[globexName].ID != globex.ID {
		t.Fatalf("listed %v, created %+v and %+v", found, acme, globex)
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
	// Creating one of the name again gives a new one.
	create(t, p.next(t), globexName)
	s, found = p.list(t)
	wants(t, s, found[globexName], tables, "0")
}

// A run that is killed after it created a tenant, and before it registered it, is completed by the next one.
func contractCut(t *testing.T, p place) {
	acmeCorp := p.prefix + "acme_corp"
	tenant, created, err := p.next(t).Create(t.Context(), acmeCorp, nil, slog.New(slog.DiscardHandler))
	if err != nil || !created {
		t.Fatalf("created %t, %v", created, err)
	}
	if again, created := create(t, p.next(t), acmeCorp); created || again.ID != tenant.ID {
		t.Errorf("adopted %+v (created %t), want %+v", again, created, tenant)
	}
	s, found := p.list(t)
	if len(found) != 1 {
		t.Errorf("there are %v", found)
	}
	wants(t, s, found[acmeCorp], tables, "0")
}

// hostile are names with a meaning for SQL, for a shell, in a URL, or for nobody.
var hostile = []string{
	`a"; drop schema public cascade; --`, `a'; drop table x; --`, "a\nb", "a\x00b", "", " ", " a", "a/b?c=d#e",
	"%2e%2e", "$(id)", "${x}", "`id`", `a\b`,
	"東京", "É", "e\u0301", "a\u202eb", "\U0001F600", strings.Repeat("x", 64), strings.Repeat("é", 32),
	strings.Repeat("x", 257),
	"public", "pg_catalog", "pg_x", "PG_X", "information_schema", "template0", "template1", "postgres", "select",
	"user", "table", "1a", "a-b", "a.b", "*",
}

func contractNames(t *testing.T, p place) {
	s := p.next(t)
	var tried []string
	var group sync.WaitGroup
	for i, name := range hostile {
		if err := s.CheckName(name); err != nil {
			// Create must refuse it too, or only the mode's check would stand in the way.
			if _, created, err := s.Create(t.Context(), name, nil, slog.New(slog.DiscardHandler)); err == nil || created {
				t.Errorf("%q is refused, but created", name)
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
		t.Errorf("created %q, listed %v", tried, found)
	}
	for _, name := range tried {
		wants(t, s, found[name], tables, "0")
		remove(t, s, found[name])
	}
	if p.plant == nil {
		return
	}
	// Somebody else listed them: each is worked on safely or refused by itself, and affects no other.
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

// What somebody else created under the name, and listed nowhere, is not taken for the tenant.
func contractSquat(t *testing.T, p place) {
	acmeCorp := p.prefix + "acme_corp"
	if p.squat == nil {
		t.Skip("everything that exists is listed")
	}
	p.squat(t, acmeCorp)
	if tenant, created, err := p.next(t).Create(t.Context(), acmeCorp, nil, slog.New(slog.DiscardHandler)); err == nil ||
		created || fleet.Remedy(err) == "" {
		t.Errorf("adopted it as %+v: created %t, %v, remedy %q", tenant, created, err, fleet.Remedy(err))
	}
	if _, found := p.list(t); len(found) != 0 {
		t.Errorf("listed %v", found)
	}
}

// Several runs at once, each with a source of its own and some for the same name, end with one tenant per name.
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
		"create": func() error { _, _, err := s.Create(over, p.prefix+"acme", nil, log); return err }(),
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
			if tenant, _, err := s.Create(ctx, name, nil, log); err == nil {
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

// The source secrets creates no tenants; the part of the contract about finding and reaching them holds for it.
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
		t.Error("it creates tenants")
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
