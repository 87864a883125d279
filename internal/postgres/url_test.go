package postgres

import (
	"crypto/tls"
	"net/url"
	"strings"
	"testing"
)

func TestDirectURL(t *testing.T) {
	for in, want := range map[string]string{
		"postgresql://u:p%40@ep-a-b-1234-pooler.us-east-2.aws.neon.tech/db?sslmode=require&channel_binding=require": "postgresql://u:p%40@ep-a-b-1234.us-east-2.aws.neon.tech/db?sslmode=require&channel_binding=require",
		"postgres://u:p@ep-a-pooler.c-2.eu-central-1.aws.neon.tech:5432/db":                                         "postgres://u:p@ep-a.c-2.eu-central-1.aws.neon.tech:5432/db",
		"postgres://u:p@ep-a.eu-central-1.aws.neon.tech/db":                                                         "",
		"postgres://u-pooler.x:p@my-pooler/db":                                                                      "", // a name without a dot is nobody's pooler
		"postgres://u:p@a.b-pooler.example.com/db":                                                                  "",
	} {
		got, changed, err := DirectURL(in)
		if err != nil || changed != (want != "") || (changed && got != want) || (!changed && got != in) {
			t.Errorf("DirectURL(%s) = %s, %v, %v", in, got, changed, err)
		}
	}
}

func TestPrivateHost(t *testing.T) {
	for host, want := range map[string]bool{
		"localhost": true, "127.0.0.1": true, "::1": true, "10.1.2.3": true, "172.16.0.1": true, "192.168.1.1": true, "fd00::1": true, "::ffff:10.0.0.1": true,
		"postgres": true, "db.local": true, "host.docker.internal": true, "DB.LOCALHOST.": true, "/var/run/postgresql": true, "": true, "169.254.1.1": true,
		"8.8.8.8": false, "172.32.0.1": false, "ep-a.eu-central-1.aws.neon.tech": false, "2001:db8::1": false, "localhost.example.com": false, "10.1.2.3.example.com": false, "internal.example.com": false,
	} {
		if got := PrivateHost(host); got != want {
			t.Errorf("PrivateHost(%q) = %v", host, got)
		}
	}
}

// The policy: a public host's certificate is verified in full whatever the URL says, without a way around it by other
// parameters or by a second host.
func TestTLSPolicy(t *testing.T) {
	verified := func(c *tls.Config, host string) bool {
		return c != nil && !c.InsecureSkipVerify && c.ServerName == host
	}
	for _, text := range []string{
		"postgres://u:p@ep-a.aws.neon.tech/db", "postgres://u:p@ep-a.aws.neon.tech/db?sslmode=require&channel_binding=require",
		"postgres://u:p@ep-a.aws.neon.tech/db?sslmode=prefer", "postgres://u:p@ep-a.aws.neon.tech/db?sslmode=allow", "postgres://u:p@ep-a.aws.neon.tech/db?sslmode=verify-ca",
		"postgres://u:p@localhost/db?host=ep-a.aws.neon.tech&sslmode=prefer",
	} {
		cfg, err := Config(text, false)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
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
	for _, text := range []string{"postgres://u:p@ep-a.aws.neon.tech/db?sslmode=disable", "postgres://u:p@localhost,8.8.8.8/db?sslmode=disable"} {
		if _, err := Config(text, false); err == nil || !strings.Contains(err.Error(), "sslmode=disable") {
			t.Errorf("%s: got %v", text, err)
		}
		if _, err := Config(text, true); err != nil {
			t.Errorf("%s, insecure: got %v", text, err)
		}
	}
	cfg, err := Config("postgres://u:p@127.0.0.1/db?sslmode=disable", false)
	if err != nil || cfg.TLSConfig != nil {
		t.Errorf("loopback: got %v, %v", cfg, err)
	}
}

func TestConfigDropsOtherClientsParameters(t *testing.T) {
	cfg, err := Config("postgres://u:p@h/db?schema=public&pgbouncer=true&connection_limit=1&options=-c%20x.y%3D1", false)
	if err != nil {
		t.Fatal(err)
	}
	if len(cfg.RuntimeParams) != 1 || cfg.RuntimeParams["options"] != "-c x.y=1" {
		t.Errorf("got %v", cfg.RuntimeParams)
	}
}

// No connection string, however broken, panics, loses the TLS policy, or shows its password in the error.
func FuzzConfig(f *testing.F) {
	f.Add("postgres://u:secretpw@ep-a-pooler.aws.neon.tech/db?sslmode=require&channel_binding=require")
	f.Add("postgresql://u:sec%zzretpw@h:port/db")
	f.Add("postgres://u:p@h1,[::1]:5432,8.8.8.8:1/db?sslmode=allow&hostaddr=1.1.1.1")
	f.Fuzz(func(t *testing.T, text string) {
		cfg, err := Config(text, false)
		if err != nil {
			if u, perr := url.Parse(text); perr == nil && u.User != nil {
				if pw, ok := u.User.Password(); ok && len(pw) > 12 && strings.Contains(err.Error(), pw) {
					t.Errorf("%v shows the password", err)
				}
			}
			return
		}
		if !PrivateHost(cfg.Host) && (cfg.TLSConfig == nil || cfg.TLSConfig.InsecureSkipVerify) {
			t.Errorf("%q connects to %s without verification", text, cfg.Host)
		}
		for _, b := range cfg.Fallbacks {
			if !PrivateHost(b.Host) && (b.TLSConfig == nil || b.TLSConfig.InsecureSkipVerify) {
				t.Errorf("%q falls back to %s without verification", text, b.Host)
			}
		}
		_, _, _ = DirectURL(text)
	})
}
