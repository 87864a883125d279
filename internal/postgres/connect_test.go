package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/org/neon-tenants-action/internal/postgres"
	"github.com/org/neon-tenants-action/internal/postgres/pgtest"
	"github.com/org/neon-tenants-action/internal/remedies"
	"github.com/org/neon-tenants-action/internal/servertest"
)

func TestCancelBeforeAndWhileConnecting(t *testing.T) {
	t.Parallel()
	// A listener that never answers stands for a compute that does not wake.
	mute, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = mute.Close() }()
	target := "postgres://u:p@" + mute.Addr().String() + "/d?sslmode=require"

	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := connect(gone, target, postgres.Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("before: got %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	began := time.Now()
	_, err = connect(ctx, target, postgres.Options{})
	var refused *postgres.ConnectError
	if !errors.As(err, &refused) || time.Since(began) > 5*time.Second {
		t.Errorf("while: got %v after %s", err, time.Since(began))
	}
}

// Only a server that had its time to answer is said not to answer.
func TestACancelIsNotTheServersFault(t *testing.T) {
	t.Parallel()
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	target := "postgres://u:p@" + closed.Addr().String() + "/d?sslmode=require"
	_ = closed.Close()

	late, stop := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer stop()
	cancelled, cancel := context.WithCancel(t.Context())
	time.AfterFunc(100*time.Millisecond, cancel)
	for ctx, cause := range map[context.Context]postgres.Cause{late: postgres.NoAnswer, cancelled: ""} {
		_, err := connect(ctx, target, postgres.Options{})
		var failed *postgres.ConnectError
		if !errors.As(err, &failed) || failed.Cause() != cause {
			t.Errorf("got %v, not one of cause %q", err, cause)
		}
	}
}

// Connecting waits for a server that starts, but not for one that refuses the password.
func TestConnectWaitsForAServerToStart(t *testing.T) {
	t.Parallel()
	server, err := pgtest.Start(t.Context(), pgtest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Stop() })
	direct, err := server.CreateTenant(t.Context(), "tenant", "p@ss:/%word", "tenant")
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Kill(); err != nil {
		t.Fatal(err)
	}
	restarted := make(chan error, 1)
	time.AfterFunc(time.Second, func() { restarted <- server.Restart(context.Background()) })
	c, err := connect(t.Context(), direct, postgres.Options{})
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	if err := <-restarted; err != nil {
		t.Fatal(err)
	}

	began := time.Now()
	for cause, url := range map[postgres.Cause]string{
		postgres.BadCredentials: server.TenantURL("tenant", "wrong", "tenant"),
		postgres.NoSuchDatabase: server.TenantURL("tenant", "p@ss:/%word", "nowhere"),
	} {
		_, err := connect(t.Context(), url, postgres.Options{})
		var refused *postgres.ConnectError
		if !errors.As(err, &refused) || refused.Cause() != cause || remedies.Of(err) == "" {
			t.Errorf("%s: got %v", cause, err)
		}
		if strings.Contains(fmt.Sprint(err), "wrong@") {
			t.Errorf("the password is shown: %v", err)
		}
	}
	if time.Since(began) > 10*time.Second {
		t.Errorf("final refusals took %s", time.Since(began))
	}
}

func TestFactsOfADatabase(t *testing.T) {
	t.Parallel()
	c, err := connect(t.Context(), pgtest.Database(t), postgres.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	size, err := c.DatabaseSize(t.Context())
	if err != nil || size < 1<<20 {
		t.Errorf("got %d, %v", size, err)
	}
	servertest.Equal(t, "major", c.ServerMajor(), pgtest.Shared(t).Version)
}

// A raw % before two hexadecimal digits is no mistake that a connection string shows: the login fails, and says so.
func TestPasswordWithARawPercentSign(t *testing.T) {
	server := pgtest.Shared(t)
	encoded, err := server.CreateTenant(t.Context(), "percent", "x%41y", "percent")
	if err != nil {
		t.Fatal(err)
	}
	conn, err := connect(t.Context(), encoded, postgres.Options{})
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
	_, err = connect(t.Context(), strings.ReplaceAll(encoded, "%25", "%"), postgres.Options{})
	if err == nil || !strings.Contains(err.Error(), "28P01") || !strings.Contains(remedies.Of(err), "% is %25") {
		t.Errorf("got %v, %s", err, remedies.Of(err))
	}
}
