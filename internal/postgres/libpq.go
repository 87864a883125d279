package postgres

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
)

// A connection string that works with psql has to work here. pgx takes the parameters that it does not know for
// settings of the session, which a server refuses.

// libpqOnly are the parameters of libpq, of PostgreSQL 18 and before, that pgx does not know. Those not applied
// below change nothing here: the connection has keepalives and time limits of its own, tries several hosts in their
// order, and compresses nothing.
var libpqOnly = []string{
	"hostaddr", "fallback_application_name", "ssl_min_protocol_version", "ssl_max_protocol_version", "requiressl",
	"gssencmode", "replication", "requirepeer", "scram_client_key", "scram_server_key",
	"oauth_issuer", "oauth_client_id", "oauth_client_secret", "oauth_scope",
	"keepalives", "keepalives_idle", "keepalives_interval", "keepalives_count", "tcp_user_timeout",
	"load_balance_hosts", "gsslib", "gssdelegation", "sslcompression", "authtype", "tty",
}

// applyLibpq takes the parameters that only libpq knows out of those for pgx, and puts others in their place where that
// is possible. The error is for one that would mean something else if it were left out.
func applyLibpq(u *url.URL, q url.Values) error {
	if err := checkLibpq(u, q); err != nil {
		return err
	}
	if address := q.Get("hostaddr"); address != "" && u.Host == "" && q.Get("host") == "" {
		q.Set("host", address)
	}
	if name := q.Get("fallback_application_name"); name != "" && q.Get("application_name") == "" {
		q.Set("application_name", name)
	}
	if q.Get("requiressl") == "1" && q.Get("sslmode") == "" {
		q.Set("sslmode", "require")
	}
	for _, name := range libpqOnly {
		q.Del(name)
	}
	return nil
}

func checkLibpq(u *url.URL, q url.Values) error {
	password, _ := u.User.Password()
	switch {
	case q.Get("gssencmode") == "require":
		return &URLError{"its parameter gssencmode=require asks for encryption by Kerberos, which is not available here",
			"take it out; TLS takes its place"}
	case !slices.Contains([]string{"", "false", "off", "no", "0"}, strings.ToLower(q.Get("replication"))):
		return &URLError{"its parameter replication asks for a connection that sends no tables", "take it out"}
	case q.Get("requirepeer") != "" && slices.ContainsFunc(servers(u, q), isSocket):
		return &URLError{"its parameter requirepeer asks who runs the server behind a socket, which is not known here",
			"take it out, or give the server's host and port"}
	case password != "" || q.Get("password") != "":
		return nil
	}
	for _, name := range []string{"scram_client_key", "oauth_issuer", "oauth_client_id"} {
		if q.Get(name) != "" {
			return &URLError{fmt.Sprintf("its parameter %s takes the place of a password, which is not available here",
				name), "give the role's password: postgresql://user:password@host/database"}
		}
	}
	return nil
}

func isSocket(host string) bool { return strings.HasPrefix(host, "/") }

// servers are the hosts that a connection string names.
func servers(u *url.URL, q url.Values) []string {
	if q.Has("host") {
		return strings.Split(q.Get("host"), ",")
	}
	return authorityHosts(u)
}

// connectTo has a configuration connect to the addresses of hostaddr, and only verify the hosts' names.
func connectTo(cfg *pgconn.Config, names []string, hostaddr string) error {
	if hostaddr == "" {
		return nil
	}
	addresses := map[string]string{}
	given := strings.Split(hostaddr, ",")
	for i, address := range given {
		if _, err := netip.ParseAddr(address); err != nil || len(given) != len(names) || isSocket(names[i]) {
			return &URLError{"its parameter hostaddr does not have one IP address for each host",
				"correct it, or leave it out, so that the hosts' names are looked up"}
		}
		if other, twice := addresses[names[i]]; twice && other != address {
			return &URLError{"its parameter hostaddr has two addresses for one host", "leave one of them"}
		}
		addresses[names[i]] = address
	}
	cfg.LookupFunc = func(_ context.Context, host string) ([]string, error) { return []string{addresses[host]}, nil }
	return nil
}

// tlsVersions are libpq's names. Go's own minimum is 1.2, as libpq's is; no name lowers it.
var tlsVersions = map[string]uint16{
	"": 0, "tlsv1": tls.VersionTLS10, "tlsv1.1": tls.VersionTLS11,
	"tlsv1.2": tls.VersionTLS12, "tlsv1.3": tls.VersionTLS13,
}

// limitTLSVersions sets the lowest and the highest version of TLS that the connection string allows.
func limitTLSVersions(cfg *pgconn.Config, q url.Values) error {
	const lowest, highest = "ssl_min_protocol_version", "ssl_max_protocol_version"
	for _, name := range []string{lowest, highest} {
		if _, known := tlsVersions[strings.ToLower(q.Get(name))]; !known {
			return &URLError{"there is no " + name + " of that name", "write TLSv1.2 or TLSv1.3, or leave it out"}
		}
	}
	least, most := tlsVersions[strings.ToLower(q.Get(lowest))], tlsVersions[strings.ToLower(q.Get(highest))]
	if most != 0 && most < max(least, tls.VersionTLS12) {
		return &URLError{"its parameter " + highest + " allows no version of TLS that is safe, or none at all",
			"write TLSv1.3, or leave it out"}
	}
	set := func(c *tls.Config) {
		if c == nil {
			return
		}
		if c.MaxVersion = most; least >= tls.VersionTLS12 {
			c.MinVersion = least
		}
	}
	set(cfg.TLSConfig)
	for _, f := range cfg.Fallbacks {
		set(f.TLSConfig)
	}
	return nil
}
