package neontest_test

import (
	"context"
	"crypto/tls"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/org/neon-tenants-action/internal/neon/neontest"
)

func TestStates(t *testing.T) {
	s := start(t, neontest.Options{})
	for _, c := range []struct {
		name    string
		spec    neontest.Spec
		message string // "" : it connects
		state   string
	}{
		{"healthy", neontest.Spec{}, "", "active"},
		{"suspended", neontest.Spec{Suspended: true}, "Couldn't connect to compute node", "idle"},
		{"archived", neontest.Spec{Archived: true}, "Couldn't connect to compute node", "idle"},
		{"disabled", neontest.Spec{Disabled: true},
			"The endpoint has been disabled. Enable it using the API and retry.", "idle"},
		{"quota", neontest.Spec{QuotaExceeded: true},
			"Your account or project has exceeded the compute time quota. Upgrade your plan to increase limits.", "idle"},
		{"address", neontest.Spec{AllowedIPs: []string{"10.0.0.0/8", "192.0.2.1-192.0.2.9", "::1"}},
			"This IP address 127.0.0.1 is not allowed to connect to this endpoint. ", "active"},
		{"allowed address", neontest.Spec{AllowedIPs: []string{"127.0.0.1"}}, "", "active"},
		{"allowed network", neontest.Spec{AllowedIPs: []string{"127.0.0.0/8"}}, "", "active"},
		{"allowed range", neontest.Spec{AllowedIPs: []string{"127.0.0.0-127.0.0.5"}}, "", "active"},
		{"private", neontest.Spec{BlockPublic: true},
			"This connection is trying to access this endpoint from a blocked network.", "active"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := add(t, s, c.spec)
			url := uri(t, s, p.ID, "")
			endpoint := call(t, s, 200, "GET /projects/"+p.ID+"/endpoints/"+p.EndpointID, nil)
			if got := endpoint.text(t, "endpoint", "current_state"); got != c.state {
				t.Errorf("the endpoint is %s, want %s", got, c.state)
			}
			mustQuery(t, p.URL, "select 'past the proxy'")
			if c.message == "" {
				mustQuery(t, url, "select ''")
				return
			}
			if e := refused(t, url); !strings.HasPrefix(e.Message, c.message) || e.Code != "XX000" || e.Severity != "ERROR" {
				t.Errorf("refused with %v", e)
			}
		})
	}
}

func TestWaking(t *testing.T) {
	s := start(t, neontest.Options{WakeTime: 300 * time.Millisecond})
	p := add(t, s, neontest.Spec{Suspended: true})
	sleeping := uri(t, s, p.ID, "")
	_ = refused(t, sleeping)
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		if _, err := query(context.Background(), sleeping, "select ''"); err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("it does not wake")
		}
	}
	if awake := uri(t, s, p.ID, ""); awake != p.URL {
		t.Errorf("once awake: %s, want %s", awake, p.URL)
	}
	// Suspending ends the sessions.
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, sleeping)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	endpoint := "/projects/" + p.ID + "/endpoints/" + p.EndpointID
	call(t, s, 200, "POST "+endpoint+"/suspend", nil)
	if conn.Ping(ctx) == nil {
		t.Error("a session survived its compute")
	}
	call(t, s, 200, "POST "+endpoint+"/start", nil)
	for _, spec := range []neontest.Spec{{Disabled: true}, {QuotaExceeded: true}} {
		p := add(t, s, spec)
		call(t, s, 422, "POST /projects/"+p.ID+"/endpoints/"+p.EndpointID+"/start", nil)
	}
}

// A client may also name the endpoint, as Neon's clients do, and use Neon's names of roles and databases.
func TestEndpointByOption(t *testing.T) {
	s := start(t, neontest.Options{})
	p := add(t, s, neontest.Spec{})
	u, err := url.Parse(uri(t, s, p.ID, "&pooled=true")) // an address of the proxy's
	if err != nil {
		t.Fatal(err)
	}
	password, _ := u.User.Password()
	u.User, u.Path = url.UserPassword("neondb_owner", password), "/neondb"
	named := u.String() + "&options=endpoint%3D" + p.EndpointID
	if got := mustQuery(t, named, "select current_database()::text"); !strings.HasPrefix(got, "neondb_") {
		t.Errorf("connected to %s", got)
	}
	if e := refused(t, u.String()); !strings.HasPrefix(e.Message, "Endpoint ID is not specified.") {
		t.Errorf("without a name: %v", e)
	}
	const unknown = "The requested endpoint could not be found"
	if e := refused(t, u.String()+"&options=endpoint%3Dep-none"); !strings.HasPrefix(e.Message, unknown) {
		t.Errorf("with a wrong one: %v", e)
	}
	plain := strings.Replace(u.String(), "sslmode=require&channel_binding=require", "sslmode=disable", 1)
	if e := refused(t, plain); !strings.HasPrefix(e.Message, "connection is insecure") {
		t.Errorf("without TLS: %v", e)
	}
}

func TestCancelThroughTheProxy(t *testing.T) {
	s := start(t, neontest.Options{})
	p := add(t, s, neontest.Spec{AllowedIPs: []string{"127.0.0.1"}})
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, uri(t, s, p.ID, ""))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	done := make(chan error, 1)
	go func() {
		_, err := conn.PgConn().Exec(ctx, "select pg_sleep(60)").ReadAll()
		done <- err
	}()
	for deadline := time.After(20 * time.Second); ; {
		if err := conn.PgConn().CancelRequest(ctx); err != nil {
			t.Fatal(err)
		}
		select {
		case err := <-done:
			if err == nil || !strings.Contains(err.Error(), "57014") {
				t.Errorf("ended with %v", err)
			}
			return
		case <-deadline:
			t.Fatal("the query was not cancelled")
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// The proxy takes TLS from the first byte on, if the client names the protocol.
func TestDirectTLS(t *testing.T) {
	s := start(t, neontest.Options{})
	p := add(t, s, neontest.Spec{AllowedIPs: []string{"127.0.0.1"}})
	asking := uri(t, s, p.ID, "")
	mustQuery(t, asking, "select ''")
	mustQuery(t, asking+"&sslnegotiation=direct", "select ''")
	u, err := url.Parse(asking)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		protocols []string
		takes     bool
	}{
		"PostgreSQL's":       {[]string{"postgresql"}, true},
		"that and another's": {[]string{"h2", "postgresql"}, true},
		"another's":          {[]string{"h2"}, false},
		"none":               {nil, false},
	} {
		conn, err := tls.Dial("tcp", u.Host, &tls.Config{InsecureSkipVerify: true, NextProtos: c.protocols})
		if err == nil {
			_, err = conn.Write([]byte("\x00\x00\x00\x08\x04\xd2\x16\x2f")) // SSLRequest, which has been had
			if err == nil {
				_, err = conn.Read(make([]byte, 1))
			}
			_ = conn.Close()
		}
		if (err == nil) != c.takes {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The process id that a client has is the proxy's own, and cancelling works with it.
func TestTheProcessIDIsNotTheComputes(t *testing.T) {
	s := start(t, neontest.Options{})
	p := add(t, s, neontest.Spec{AllowedIPs: []string{"127.0.0.1"}})
	conn, err := pgx.Connect(t.Context(), uri(t, s, p.ID, ""))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	var pid uint32
	if err := conn.QueryRow(t.Context(), "select pg_backend_pid()").Scan(&pid); err != nil {
		t.Fatal(err)
	}
	if pid == conn.PgConn().PID() {
		t.Errorf("both are %d", pid)
	}
}
