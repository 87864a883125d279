package postgres_test

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/org/neon-tenants-action/internal/postgres"
	"github.com/org/neon-tenants-action/internal/postgres/pgtest"
	"github.com/org/neon-tenants-action/internal/postgres/wiretest"
	"github.com/org/neon-tenants-action/internal/servertest"
)

// TLS begins directly where nothing else is possible than TLS, and the connection string does not say otherwise.
func TestWhoBeginsTLSDirectly(t *testing.T) {
	for text, want := range map[string]bool{
		"postgres://u:p@ep-a.us-east-2.aws.neon.tech/db":                         true,
		"postgres://u:p@ep-a-pooler.us-east-2.aws.neon.tech/db?sslmode=require":  true,
		"postgres://u:p@ep-a.us-east-2.aws.neon.tech/db?sslmode=prefer":          true, // verified all the same
		"postgres://u:p@ep-a.us-east-2.aws.neon.tech/db?sslnegotiation=direct":   true,
		"postgres://u:p@ep-a.us-east-2.aws.neon.tech/db?sslnegotiation=postgres": false,
		"postgres://u:p@a.example.com,b.example.com/db":                          false,
		"postgres://u:p@localhost/db?sslmode=require":                            false,
		"postgres://u:p@10.0.0.7/db?sslmode=verify-full":                         false,
		"postgres://u:p@db/db": false,
		"postgres://u:p@localhost/db?sslmode=require&sslnegotiation=direct": true,
		"postgres://u:p@localhost/db?sslmode=allow&sslnegotiation=direct":   false, // plaintext first
		"postgres://u:p@localhost/db?sslmode=disable&sslnegotiation=direct": false,
	} {
		target, err := postgres.ParseTrusted(text, false)
		if err != nil {
			t.Errorf("%s: %v", text, err)
		} else if got := postgres.BeginsDirectly(target); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
	insecure, err := postgres.ParseTarget("postgres://u:p@a.example.com/db?sslmode=require", true)
	if err != nil || postgres.BeginsDirectly(insecure) {
		t.Errorf("insecure: begins directly, or %v", err)
	}
	if _, err := postgres.ParseTarget("postgres://u:p@localhost/db?sslnegotiation=wat", false); err == nil ||
		!strings.Contains(err.Error(), `there is no sslnegotiation "wat"`) {
		t.Errorf("no such negotiation: got %v", err)
	}
}

func TestServersThatTreatTLSAlike(t *testing.T) {
	for host, want := range map[string]string{
		"ep-a.us-east-2.aws.neon.tech":      "us-east-2.aws.neon.tech:5432",
		"EP-B.us-east-2.aws.neon.tech.":     "us-east-2.aws.neon.tech:5432",
		"ep-a.us-east-2.aws.neon.tech:6432": "us-east-2.aws.neon.tech:6432",
		"example.com":                       "example.com:5432", // not everybody's .com
		"8.8.8.8":                           "8.8.8.8:5432",
		"[2001:db8::1]":                     "[2001:db8::1]:5432",
		"localhost":                         "localhost:5432",
	} {
		target, err := postgres.ParseTarget("postgres://u:p@"+host+"/db?sslmode=require", false)
		if err != nil {
			t.Fatal(err)
		}
		servertest.Equal(t, host, postgres.DirectGroup(target.Config()), want)
	}
}

// front starts a server that takes TLS from the first byte on, or does not, and returns the connection string of a
// database behind it, with the name of a public host.
func front(t *testing.T, direct wiretest.OnDirect) (*wiretest.Front, postgres.Target) {
	t.Helper()
	return frontWith(t, pgtest.Shared(t).TLSConfig(), direct)
}

func frontWith(t *testing.T, config *tls.Config, direct wiretest.OnDirect) (*wiretest.Front, postgres.Target) {
	t.Helper()
	server := pgtest.Shared(t)
	f, err := wiretest.NewFront(net.JoinHostPort(server.Host, strconv.Itoa(server.Port)), config, direct)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.Close)
	url, err := server.PublicURL(pgtest.Database(t), f.Address())
	if err != nil {
		t.Fatal(err)
	}
	target, err := postgres.ParseTrusted(url, false)
	if err != nil {
		t.Fatal(err)
	}
	return f, target
}

// connects connects, and disconnects.
func connects(t *testing.T, target postgres.Target) {
	t.Helper()
	c, err := postgres.Connect(t.Context(), target, postgres.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Exec(t.Context(), "select 1"); err != nil {
		t.Error(err)
	}
	c.Close()
}

// Whichever way a server does not take direct TLS, it costs a run one connection and nothing else. The connection
// strings require channel binding.
func TestDirectTLSIsFoundOutOnce(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		direct wiretest.OnDirect
		want   wiretest.Begun // of three connections
	}{
		"taken":         {wiretest.Takes, wiretest.Begun{Directly: 3}},
		"closed":        {wiretest.Closes, wiretest.Begun{Directly: 1, Asking: 3}},
		"reset":         {wiretest.Resets, wiretest.Begun{Directly: 1, Asking: 3}},
		"not TLS":       {wiretest.Garbles, wiretest.Begun{Directly: 1, Asking: 3}},
		"no ALPN":       {wiretest.WithoutALPN, wiretest.Begun{Directly: 1, Asking: 3}},
		"another ALPN":  {wiretest.OtherALPN, wiretest.Begun{Directly: 1, Asking: 3}},
		"never answers": {wiretest.Silent, wiretest.Begun{Directly: 1, Asking: 3}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, target := front(t, c.direct)
			var run postgres.DirectTLS
			if c.direct == wiretest.Silent {
				run.SetPatience(100 * time.Millisecond)
			}
			for range 3 {
				connects(t, target.Sharing(&run))
			}
			servertest.Equal(t, "connections", begun(f, c.direct), c.want)
		})
	}
}

// begun is how connections have begun. On a slow machine, the patience with a silent server may end before the first
// byte is sent to it.
func begun(f *wiretest.Front, direct wiretest.OnDirect) wiretest.Begun {
	b := f.Begun()
	if direct == wiretest.Silent && b.Directly == 0 {
		b.Directly = 1
	}
	return b
}

// However many tenants and workers there are, one connection finds out, and nobody waits for it.
func TestOneOfManyFindsOut(t *testing.T) {
	t.Parallel()
	const workers, tenants = 16, 4
	for name, direct := range map[string]wiretest.OnDirect{"refused": wiretest.Closes, "silent": wiretest.Silent} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, target := front(t, direct)
			var run postgres.DirectTLS
			run.SetPatience(100 * time.Millisecond)
			var all sync.WaitGroup
			for range workers {
				all.Go(func() {
					for range tenants {
						c, err := postgres.Connect(t.Context(), target.Sharing(&run), postgres.Options{})
						if err != nil {
							t.Error(err)
							return
						}
						c.Close()
					}
				})
			}
			all.Wait()
			servertest.Equal(t, "connections", begun(f, direct), wiretest.Begun{Directly: 1, Asking: workers * tenants})
		})
	}
}

// Servers of one group may be of different versions. Once one has refused, the others are asked too.
func TestARefusalStays(t *testing.T) {
	t.Parallel()
	f, target := front(t, wiretest.Takes)
	var run postgres.DirectTLS
	connects(t, target.Sharing(&run))
	f.Set(wiretest.Closes)
	connects(t, target.Sharing(&run))
	f.Set(wiretest.Takes)
	connects(t, target.Sharing(&run))
	servertest.Equal(t, "connections", f.Begun(), wiretest.Begun{Directly: 2, Asking: 2})
}

// Each of another run's connections, and each target that shares nothing, finds out for itself.
func TestWhatIsFoundOutEndsWithTheRun(t *testing.T) {
	t.Parallel()
	f, target := front(t, wiretest.Closes)
	var one, other postgres.DirectTLS
	connects(t, target.Sharing(&one))
	connects(t, target.Sharing(&other))
	servertest.Equal(t, "connections", f.Begun(), wiretest.Begun{Directly: 2, Asking: 2})
	at, err := target.Sharing(&one).At(target.Database())
	if err != nil {
		t.Fatal(err)
	}
	connects(t, at) // another database on the same server
	servertest.Equal(t, "connections", f.Begun(), wiretest.Begun{Directly: 2, Asking: 3})
}

// A compute that starts answers only after TLS, and is one that takes it.
func TestAWakingComputeTakesDirectTLS(t *testing.T) {
	t.Parallel()
	f, target := front(t, wiretest.Takes)
	f.Wake(2)
	connects(t, target)
	servertest.Equal(t, "connections", f.Begun(), wiretest.Begun{Directly: 3})
}

// What fails for another reason is no refusal: the error is what it is without beginning directly, and the next
// connection still finds out.
func TestOtherFailuresAreNoRefusals(t *testing.T) {
	t.Parallel()
	stranger := strangerTLS(t)
	for name, c := range map[string]struct {
		config *tls.Config
		change func(url string) string
		tries  int // that reach the server
	}{
		"untrusted certificate": {stranger, func(url string) string { return url }, 1},
		"wrong password": {pgtest.Shared(t).TLSConfig(), func(url string) string {
			before, after, _ := strings.Cut(url, "@")
			return before + "x@" + after
		}, 1},
		"refused": {pgtest.Shared(t).TLSConfig(), func(url string) string {
			before, after, _ := strings.Cut(url, "@0.0.0.0:")
			_, after, _ = strings.Cut(after, "/")
			return before + "@0.0.0.0:1/" + after
		}, 0},
		"no such host": {pgtest.Shared(t).TLSConfig(), func(url string) string {
			return strings.Replace(url, "@0.0.0.0:", "@nowhere.invalid:", 1)
		}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, target := frontWith(t, c.config, wiretest.Takes)
			url := c.change(target.Reveal())
			var run postgres.DirectTLS
			want := connectError(t, &run, url+"&sslnegotiation=postgres")
			servertest.Equal(t, "asking", f.Begun(), wiretest.Begun{Asking: c.tries})
			for range 2 {
				got := connectError(t, &run, url)
				servertest.Equal(t, "cause", got.Cause(), want.Cause())
				if c.tries > 0 { // the network's faults are retried, and the last attempt may run out of time
					servertest.Equal(t, "error", got.Error(), want.Error())
				}
			}
			servertest.Equal(t, "directly", f.Begun(), wiretest.Begun{Asking: c.tries, Directly: 2 * c.tries})
		})
	}
}

func connectError(t *testing.T, run *postgres.DirectTLS, url string) *postgres.ConnectError {
	t.Helper()
	ctx, cancel := t.Context(), func() {}
	if strings.Contains(url, ":1/") || strings.Contains(url, "@nowhere.invalid:") {
		ctx, cancel = context.WithTimeout(ctx, 300*time.Millisecond)
	}
	defer cancel()
	target, err := postgres.ParseTrusted(url, false)
	if err != nil {
		t.Fatal(err)
	}
	_, err = postgres.Connect(ctx, target.Sharing(run), postgres.Options{})
	var failed *postgres.ConnectError
	if !errors.As(err, &failed) {
		t.Fatalf("got %v", err)
	}
	return failed
}

// strangerTLS is a certificate of an authority that nobody trusts.
func strangerTLS(t *testing.T) *tls.Config {
	t.Helper()
	dir := t.TempDir()
	files := servertest.Certificates{
		Authority: filepath.Join(dir, "ca.pem"),
		Server:    filepath.Join(dir, "server.pem"),
		Key:       filepath.Join(dir, "server.key"),
	}
	if err := files.Write(); err != nil {
		t.Fatal(err)
	}
	pair, err := tls.LoadX509KeyPair(files.Server, files.Key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
}

// A statement is cancelled over a connection that begins in the same way.
func TestCancelOverDirectTLS(t *testing.T) {
	t.Parallel()
	f, target := front(t, wiretest.Takes)
	c, err := postgres.Connect(t.Context(), target, postgres.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := c.Exec(ctx, "select pg_sleep(60)"); !postgres.HasCode(err, "57014") {
		t.Errorf("got %v", err)
	}
	servertest.Equal(t, "connections", f.Begun(), wiretest.Begun{Directly: 2})
}
