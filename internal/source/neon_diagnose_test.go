package source

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/org/neon-tenants-action/internal/fleet"
)

// sqlError is a server's error with its SQLSTATE, as pgconn.PgError gives it.
type sqlError struct{ state, text string }

func (e *sqlError) Error() string    { return e.text }
func (e *sqlError) SQLState() string { return e.state }

func TestNeonDiagnose(t *testing.T) {
	timeout := errors.New("connect: i/o timeout")
	waking := errors.New("FATAL: Couldn't connect to compute node")
	set := func(path string, body any) func(map[string]any) { return func(a map[string]any) { a[path] = body } }
	settings := func(s object) func(map[string]any) {
		return set("/projects/p", object{"project": object{"id": "p", "compute_time_seconds": 3600, "settings": s}})
	}
	compute := func(e object) func(map[string]any) {
		e["id"], e["type"] = "ep-a", "read_write"
		return set("/projects/p/branches/br-main/endpoints", object{"endpoints": []object{e}})
	}
	for _, test := range []struct {
		name   string
		inputs map[string]string
		change func(map[string]any)
		err    error
		cause  string // empty: err itself comes back
		remedy string
		calls  int
	}{
		{name: "told: disabled", err: errors.New("ERROR: The endpoint has been disabled. Enable it using Neon API " +
			"and retry."), cause: disabled, remedy: "enable the compute"},
		{name: "told: quota", err: errors.New("Your account or project has exceeded the compute time quota. Upgrade " +
			"your plan to increase limits."), cause: quota, remedy: "plan"},
		{name: "told: address", err: errors.New("This IP address 1.2.3.4 is not allowed to connect to this endpoint. " +
			"Please add it"), cause: allowList, remedy: "GitHub-hosted runners have no fixed address"},
		{name: "told: blocked", err: errors.New("This connection is trying to access this endpoint from a blocked " +
			"network."), cause: blocked, remedy: "self-hosted"},
		{name: "deleted", change: set("/projects/p", 404), err: timeout, cause: "the project was deleted",
			remedy: "run again", calls: 1},
		{name: "Neon refuses to say", change: set("/projects/p", 403), err: timeout, calls: 1},
		{name: "quota", change: settings(object{"quota": object{"compute_time_seconds": 3600}}), err: waking,
			cause: "compute_time_seconds: 3600 of 3600 used", remedy: "quota", calls: 1},
		{name: "blocked", change: settings(object{"block_public_connections": true}), err: timeout, cause: blocked,
			remedy: "self-hosted", calls: 1},
		{name: "allow list", change: settings(object{"allowed_ips": object{"ips": []string{"10.0.0.0/8"}}}),
			err: timeout, cause: allowList, remedy: "no fixed address", calls: 3},
		{name: "allow list of protected branches",
			change: settings(object{"allowed_ips": object{"ips": []string{"10.0.0.0/8"},
				"protected_branches_only": true}}), err: timeout, calls: 3},
		{name: "allow list, passed", change: settings(object{"allowed_ips": object{"ips": []string{"10.0.0.0/8"}}}),
			err: waking, calls: 3},
		{name: "archived", change: set("/projects/p/branches",
			object{"branches": []object{{"id": "br-main", "name": "main", "default": true,
				"current_state": "archived"}}}),
			err: timeout, cause: `branch "main" is archived`, remedy: "run again", calls: 2},
		{name: "disabled", change: compute(object{"disabled": true, "current_state": "idle"}), err: timeout,
			cause: disabled, remedy: "enable", calls: 3},
		{name: "suspended", change: compute(object{"current_state": "idle"}), err: waking,
			cause: "compute ep-a is suspended and did not start", remedy: "console", calls: 3},
		{name: "starting", change: compute(object{"current_state": "init"}), err: waking,
			cause: "compute ep-a was still starting", remedy: "run again", calls: 3},
		{name: "no compute", change: set("/projects/p/branches/br-main/endpoints", object{"endpoints": []object{}}),
			err: timeout, cause: `branch "main" has no read-write compute`, remedy: "add a compute", calls: 3},
		{name: "nothing to find", err: timeout, calls: 3},
		{name: "database gone", inputs: map[string]string{"database-name": "app"},
			err: &sqlError{"3D000", `database "app" does not exist`}, cause: `no database "app"`,
			remedy: `"neondb", "other"`, calls: 3},
		{name: "role gone", inputs: map[string]string{"role-name": "me"},
			err: &sqlError{"28P01", "password authentication failed"}, cause: `no role "me"`, remedy: `"neondb_owner"`,
			calls: 4},
		{name: "names are right", err: &sqlError{"28P01", "password authentication failed"}, calls: 4},
	} {
		t.Run(test.name, func(t *testing.T) {
			api, n := serveNeon(t, project(test.change), test.inputs)
			wrapped := fmt.Errorf("connect to tenant: %w", test.err)
			got := n.Diagnose(t.Context(), acme, wrapped)
			if !errors.Is(got, test.err) {
				t.Errorf("%v does not wrap the connection's error", got)
			}
			if test.cause == "" {
				if got.Error() != wrapped.Error() {
					t.Errorf("error is %v, want the connection's own", got)
				}
			} else if !strings.Contains(got.Error(), test.cause) || !strings.Contains(fleet.Remedy(got), test.remedy) {
				t.Errorf("error is %v, remedy %q; want %q, %q", got, fleet.Remedy(got), test.cause, test.remedy)
			}
			if len(api.calls) != test.calls {
				t.Errorf("%d calls, want %d: %v", len(api.calls), test.calls, api.calls)
			}
		})
	}
}

func TestNeonDiagnoseIsBounded(t *testing.T) {
	api, n := serveNeon(t, project(nil), nil)
	timeout := errors.New("connect: i/o timeout")
	for range 3 * maxDiagnosed {
		_ = n.Diagnose(t.Context(), acme, timeout)
	}
	if len(api.calls) != 3*maxDiagnosed {
		t.Errorf("%d calls for %d failed tenants, want those of %d", len(api.calls), 3*maxDiagnosed, maxDiagnosed)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if got := n.Diagnose(ctx, acme, timeout); got.Error() != timeout.Error() ||
		n.Diagnose(t.Context(), acme, nil) != nil {
		t.Errorf("a cancelled diagnosis gives %v", got)
	}
}
