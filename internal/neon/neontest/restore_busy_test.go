package neontest_test

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/org/neon-tenants-action/internal/neon/neontest"
)

// Clients that connect again and again do not keep a branch from being restored, nor see anything but its states.
func TestRestoreAmongEagerClients(t *testing.T) {
	s := start(t, neontest.Options{Limits: neontest.Limits{PerMinute: -1, PerSecond: -1}})
	p := add(t, s, neontest.Spec{})
	execute(t, p.URL, "create table t (v text); insert into t values ('parent')")
	branches := "/projects/" + p.ID + "/branches"
	made := call(t, s, 201, "POST "+branches, `{`+withCompute+`}`)
	id, url := made.text(t, "branch", "id"), made.text(t, "connection_uris", 0, "connection_uri")
	ctx, stop := context.WithCancel(t.Context())
	var clients sync.WaitGroup
	for range 4 {
		clients.Go(func() {
			for ctx.Err() == nil {
				conn, err := pgx.Connect(ctx, url)
				if err != nil {
					continue // refused, or cut off
				}
				var got string
				if err := conn.QueryRow(ctx, values).Scan(&got); err == nil && got != "parent" && got != "changed" {
					t.Errorf("a client saw %s", got)
				}
				_ = conn.Close(ctx)
			}
		})
	}
	for range 5 {
		execute(t, p.URL, "update t set v = 'changed'")
		call(t, s, 200, "POST "+branches+"/"+id+"/restore", `{"source_branch_id":"`+p.BranchID+`"}`)
		execute(t, p.URL, "update t set v = 'parent'")
		call(t, s, 200, "POST "+branches+"/"+id+"/restore", `{"source_branch_id":"`+p.BranchID+`"}`)
	}
	stop()
	clients.Wait()
	if got := mustQuery(t, url, values); got != "parent" {
		t.Errorf("in the end it has %s", got)
	}
}

// Branches of many projects are made at the same time, as a fleet's rehearsal does.
func TestManyBranchesAtOnce(t *testing.T) {
	s := start(t, neontest.Options{Limits: neontest.Limits{PerMinute: -1, PerSecond: -1}})
	projects := make([]neontest.Project, 30)
	for i := range projects {
		projects[i] = add(t, s, neontest.Spec{})
		execute(t, projects[i].URL, fmt.Sprintf("create table t as select 'tenant %d'::text as v", i))
	}
	var workers sync.WaitGroup
	for i, p := range projects {
		workers.Go(func() {
			branches := "/projects/" + p.ID + "/branches"
			made := callAs(t, s, neontest.OrgKey, "POST "+branches, `{"branch":{"name":"rehearse"},`+withCompute+`}`)
			if made.Status != 201 {
				t.Errorf("%s", made.Raw)
				return
			}
			url := made.text(t, "connection_uris", 0, "connection_uri")
			if got, err := query(t.Context(), url, values); err != nil || got != fmt.Sprint("tenant ", i) {
				t.Errorf("the branch of tenant %d has %s, %v", i, got, err)
			}
			a := callAs(t, s, neontest.OrgKey, "DELETE "+branches+"/"+made.text(t, "branch", "id"), nil)
			if a.Status != 200 {
				t.Errorf("%s", a.Raw)
			}
		})
	}
	workers.Wait()
}
