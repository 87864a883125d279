package postgres_test

import (
	"crypto/tls"
	"errors"
	"net/url"
	"strings"
	"testing"

	"github.com/org/neon-tenants-action/internal/postgres"
	"github.com/org/neon-tenants-action/internal/postgres/pgtest"
	"github.com/org/neon-tenants-action/internal/remedies"
	"github.com/org/neon-tenants-action/internal/servertest"
)

// libpqsParameters are all of libpq's of PostgreSQL 18 (https://www.postgresql.org/docs/18/libpq-connect.html) and
// those that it has given up, but for user, password, host, port and dbname, with a value that libpq accepts for a
// server that is reached by a password over TLS. Those that name a file of this machine are tested elsewhere.
var libpqsParameters = map[string]string{
	"hostaddr": "127.0.0.1", "require_auth": "scram-sha-256", "channel_binding": "prefer", "connect_timeout": "10",
	"client_encoding": "auto", "options": "-c geqo=off", "application_name": "psql",
	"fallback_application_name": "psql", "keepalives": "1", "keepalives_idle": "30", "keepalives_interval": "10",
	"keepalives_count": "3", "tcp_user_timeout": "30000", "replication": "false", "gssencmode": "prefer",
	"sslmode": "require", "requiressl": "1", "sslnegotiation": "postgres", "sslcompression": "0", "sslcert": "",
	"sslkey": "", "sslpassword": "", "sslcertmode": "allow", "sslrootcert": "", "sslsni": "1", "requirepeer": "postgres",
	"ssl_min_protocol_version": "TLSv1.2", "ssl_max_protocol_version": "TLSv1.3", "min_protocol_version": "3.0",
	"max_protocol_version": "latest", "krbsrvname": "postgres", "gsslib": "gssapi", "gssdelegation": "0",
	"scram_client_key": "AAAA", "scram_server_key": "AAAA", "target_session_attrs": "read-write",
	"load_balance_hosts": "random", "oauth_issuer": "https://example.com", "oauth_client_id": "x",
	"oauth_client_secret": "x", "oauth_scope": "x", "authtype": "x", "tty": "x",
}

// with is a connection string with more parameters.
func with(t *testing.T, text string, parameters map[string]string) string {
	t.Helper()
	u, err := url.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	for name, value := range parameters {
		q.Set(name, value)
	}
	u.RawQuery = strings.ReplaceAll(q.Encode(), "+", "%20")
	return u.String()
}

// What psql takes in a connection string is not sent to the server as a setting, which it would refuse.
func TestParametersOfLibpq(t *testing.T) {
	direct := pgtest.Database(t)
	for name, value := range libpqsParameters {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conn, err := connect(t.Context(), with(t, direct, map[string]string{name: value}), postgres.Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			rows, err := conn.Query(t.Context(), "select current_setting('client_encoding')")
			if err != nil || string(rows.Values[0][0]) != "UTF8" {
				t.Errorf("got %s, %v", rows.Values, err)
			}
		})
	}
	conn, err := connect(t.Context(), with(t, direct, libpqsParameters), postgres.Options{})
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
}

// Those of other clients that are not known here reach the server, and the remedy says so.
func TestParametersOfNobody(t *testing.T) {
	direct := pgtest.Database(t)
	for name, value := range map[string]string{"pool": "5", "server_version": "15", "work_mem": "much"} {
		_, err := connect(t.Context(), with(t, direct, map[string]string{name: value}), postgres.Options{})
		var failure *postgres.ConnectError
		if !errors.As(err, &failure) || failure.Cause() != postgres.SettingUnknown || remedies.Of(err) == "" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestParametersOfLibpqAreObeyed(t *testing.T) {
	direct := pgtest.Database(t)
	here, err := url.Parse(direct)
	if err != nil {
		t.Fatal(err)
	}
	here.Host = "nowhere.internal:" + here.Port()
	conn, err := connect(t.Context(), with(t, here.String(), map[string]string{
		"hostaddr": "127.0.0.1", "fallback_application_name": "mine", "ssl_max_protocol_version": "TLSv1.2",
	}), postgres.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	rows, err := conn.Query(t.Context(), "select current_setting('application_name'), version "+
		"from pg_stat_ssl where pid = pg_backend_pid()")
	if err != nil {
		t.Fatal(err)
	}
	servertest.Equal(t, "session", string(rows.Values[0][0])+" "+string(rows.Values[0][1]), "mine TLSv1.2")

	for query, want := range map[string][2]uint16{
		"": {0, 0}, "?ssl_min_protocol_version=tlsv1.3": {tls.VersionTLS13, 0}, "?ssl_min_protocol_version=TLSv1": {0, 0},
		"?ssl_min_protocol_version=TLSv1.2&ssl_max_protocol_version=TLSv1.2": {tls.VersionTLS12, tls.VersionTLS12},
		"?sslmode=prefer&ssl_min_protocol_version=TLSv1.3":                   {tls.VersionTLS13, 0},
	} {
		target, err := postgres.ParseTarget("postgres://u:p@db.example.com/d"+query, false)
		if err != nil {
			t.Fatal(err)
		}
		c := target.Config().TLSConfig
		servertest.Equal(t, query, [2]uint16{c.MinVersion, c.MaxVersion}, want)
	}
}

// A parameter that would mean something else if it were left out is refused.
func TestParametersOfLibpqThatAreRefused(t *testing.T) {
	for text, want := range map[string]string{
		"u:p@h/d?gssencmode=require":                                                "gssencmode=require",
		"u:p@h/d?replication=database":                                              "replication",
		"u:p@/d?host=/run/postgresql&requirepeer=postgres":                          "requirepeer",
		"u@h/d?scram_client_key=c2VjcmV0":                                           "scram_client_key",
		"u@h/d?oauth_issuer=https://example.com&oauth_client_id=x":                  "oauth_issuer",
		"u:p@h/d?hostaddr=db.example.com":                                           "hostaddr",
		"u:p@h/d?hostaddr=10.0.0.1,10.0.0.2":                                        "hostaddr",
		"u:p@h,h/d?hostaddr=10.0.0.1,10.0.0.2":                                      "hostaddr",
		"u:p@/d?host=/run/postgresql&hostaddr=10.0.0.1":                             "hostaddr",
		"u:p@h/d?ssl_min_protocol_version=secret":                                   "ssl_min_protocol_version",
		"u:p@h/d?ssl_max_protocol_version=TLSv1.1":                                  "ssl_max_protocol_version",
		"u:p@h/d?ssl_min_protocol_version=TLSv1.3&ssl_max_protocol_version=TLSv1.2": "ssl_max_protocol_version",
	} {
		_, err := postgres.ParseTrusted("postgres://"+text, true)
		var refused *postgres.URLError
		if !errors.As(err, &refused) || !strings.Contains(err.Error(), want) || refused.Remedy() == "" ||
			strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", text, err)
		}
	}
	// The address counts for the policy too.
	_, err := postgres.ParseTarget("postgres://u:p@localhost/d?hostaddr=8.8.8.8&sslmode=disable", false)
	if !errors.As(err, new(*postgres.PlaintextError)) {
		t.Errorf("got %v", err)
	}
}
