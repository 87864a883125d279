package postgres

import (
	"bytes"
	"cmp"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"testing"

	"github.com/org/neon-tenants-action/internal/hosts"
)

func TestTargetIsDirect(t *testing.T) {
	for in, want := range map[string]string{
		"postgresql://u:p%40@ep-a-1-pooler.us-east-2.aws.neon.tech/db?sslmode=require&channel_binding=require": "" +
			"postgresql://u:p%40@ep-a-1.us-east-2.aws.neon.tech/db?sslmode=require&channel_binding=require",
		"postgres://u:p@ep-a-pooler.c-2.eu-central-1.aws.neon.tech:5432/db": "" +
			"postgres://u:p@ep-a.c-2.eu-central-1.aws.neon.tech:5432/db",
		"postgres://u:p@ep-a.eu-central-1.aws.neon.tech/db": "",
		"postgres://u-pooler.x:p@my-pooler/db":              "", // a name without a dot is nobody's pooler
		"postgres://u:p@a.b-pooler.example.com/db":          "",
	} {
		got, err := ParseTarget(in, false)
		if err != nil || got.Pooled() != (want != "") || got.Reveal() != cmp.Or(want, in) {
			t.Errorf("%s is %s, %v, %v", in, got.Reveal(), got.Pooled(), err)
		}
	}
}

// A public host's certificate is verified in full whatever the URL says, and neither other parameters nor a second host
// are a way around it.
func TestTLSPolicy(t *testing.T) {
	verified := func(c *tls.Config, host string) bool {
		return c != nil && !c.InsecureSkipVerify && c.ServerName == host
	}
	for _, text := range []string{
		"postgres://u:p@ep-a.aws.neon.tech/db",
		"postgres://u:p@ep-a.aws.neon.tech/db?sslmode=require&channel_binding=require",
		"postgres://u:p@ep-a.aws.neon.tech/db?sslmode=prefer",
		"postgres://u:p@ep-a.aws.neon.tech/db?sslmode=allow",
		"postgres://u:p@ep-a.aws.neon.tech/db?sslmode=verify-ca",
		"postgres://u:p@localhost/db?host=ep-a.aws.neon.tech&sslmode=prefer",
	} {
		target, err := ParseTarget(text, false)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		cfg := target.Config()
		if !target.Verified() {
			t.Errorf("%s: the policy does not verify it", text)
		}
		if !verified(cfg.TLSConfig, cfg.Host) {
			t.Errorf("%s: %s is not verified", text, cfg.Host)
		}
		for _, f := range cfg.Fallbacks {
			if !verified(f.TLSConfig, f.Host) {
				t.Errorf("%s: falls back to %s, not verified", text, f.Host)
			}
		}
	}
	for _, text := range []string{
		"postgres://u:p@ep-a.aws.neon.tech/db?sslmode=disable", "postgres://u:p@localhost,8.8.8.8/db?sslmode=disable",
	} {
		if _, err := ParseTarget(text, false); err == nil || !strings.Contains(err.Error(), "sslmode=disable") {
			t.Errorf("%s: got %v", text, err)
		}
		if _, err := ParseTarget(text, true); err != nil {
			t.Errorf("%s, insecure: got %v", text, err)
		}
	}
	if _, err := ParseTarget("postgres://u:p@ep-a.aws.neon.tech/db?sslmode=wat", false); err == nil ||
		!strings.Contains(err.Error(), `there is no sslmode "wat"`) {
		t.Errorf("no such mode: got %v", err)
	}
	target, err := ParseTarget("postgres://u:p@127.0.0.1/db?sslmode=disable", false)
	if err != nil || target.Config().TLSConfig != nil || target.Verified() {
		t.Errorf("loopback: got %v, %v", target, err)
	}
}

func TestConfigDropsOtherClientsParameters(t *testing.T) {
	const text = "postgres://u:p@h/db?schema=public&pgbouncer=true&connection_limit=1&options=-c%20x.y%3D1"
	target, err := ParseTarget(text, false)
	if err != nil {
		t.Fatal(err)
	}
	if cfg := target.Config(); len(cfg.RuntimeParams) != 1 || cfg.RuntimeParams["options"] != "-c x.y=1" {
		t.Errorf("got %v", cfg.RuntimeParams)
	}
}

// No connection string, however broken, panics, loses the TLS policy, or shows its password in the error.
func FuzzParseTarget(f *testing.F) {
	f.Add("postgres://u:secretpw@ep-a-pooler.aws.neon.tech/db?sslmode=require&channel_binding=require")
	f.Add("postgresql://u:sec%zzretpw@h:port/db")
	f.Add("postgres://u:p@h1,[::1]:5432,8.8.8.8:1/db?sslmode=allow&hostaddr=1.1.1.1")
	f.Fuzz(func(t *testing.T, text string) {
		target, err := ParseTarget(text, false)
		if err != nil {
			if u, perr := url.Parse(text); perr == nil && u.User != nil {
				if pw, ok := u.User.Password(); ok && len(pw) > 12 && strings.Contains(err.Error(), pw) {
					t.Errorf("%v shows the password", err)
				}
			}
			return
		}
		cfg := target.Config()
		if !hosts.Private(cfg.Host) && (cfg.TLSConfig == nil || cfg.TLSConfig.InsecureSkipVerify) {
			t.Errorf("%q connects to %s without verification", text, cfg.Host)
		}
		for _, b := range cfg.Fallbacks {
			if !hosts.Private(b.Host) && (b.TLSConfig == nil || b.TLSConfig.InsecureSkipVerify) {
				t.Errorf("%q falls back to %s without verification", text, b.Host)
			}
		}
	})
}

// Of all of Prisma's parameters, schema changes what the connection string means.
func TestPrismasSchema(t *testing.T) {
	for query, want := range map[string]string{
		"schema=public": "", "schema=": "", "schema=acme": "search_path=acme", "schema=A%20b": "search_path=%22A%20b%22 ",
	} {
		_, err := ParseTarget("postgres://u:p@localhost/db?"+query, false)
		var wrong *URLError
		if errors.As(err, &wrong) != (want != "") || wrong != nil && !strings.Contains(wrong.Remedy(), want) {
			t.Errorf("%s: %v", query, err)
		}
	}
}

// However it is printed, a target shows only server and database.
func TestTargetCannotPrintItself(t *testing.T) {
	const text = "postgres://user:hush%40hush@ep-a-pooler.aws.neon.tech/db?password=hush2"
	target, err := ParseTarget(text, false)
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "target", target)
	marshalled, err := json.Marshal(map[string]any{"one": target, "many": []Target{target}})
	if err != nil {
		t.Fatal(err)
	}
	printed := []string{log.String(), string(marshalled), target.String()}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		printed = append(printed, fmt.Sprintf(verb, target), fmt.Sprintf(verb, struct{ T Target }{target}),
			fmt.Sprintf(verb, struct{ unexported Target }{target}), fmt.Sprintf(verb, &struct{ unexported *Target }{&target}),
			fmt.Sprintf(verb, []Target{target}), fmt.Sprintf(verb, &target))
	}
	for _, text := range printed {
		for _, secret := range []string{"hush", "user", "68757368"} {
			if strings.Contains(text, secret) {
				t.Errorf("%q shows %q", text, secret)
			}
		}
	}
	if got := fmt.Sprint(target); got != "ep-a.aws.neon.tech:5432/db" {
		t.Errorf("got %s", got)
	}
	if got := fmt.Sprint(Target{}); got != "" {
		t.Errorf("zero: got %s", got)
	}
}
