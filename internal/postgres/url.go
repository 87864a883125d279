// Package postgres connects to PostgreSQL (connection strings, TLS policy, computes that have to wake) and asks a server about
// its databases, schemas and recorded migrations. It imports nothing else of this project but sqltext, and knows neither
// tenants nor inputs.
package postgres

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
)

// clientParameters are URL parameters that other languages' clients understand themselves and that a server would refuse
// as unknown settings. They come with connection strings copied from an application's configuration.
var clientParameters = []string{
	"pgbouncer", "connection_limit", "pool_timeout", "statement_cache_size", "sslaccept", "schema", // Prisma
	"uselibpqcompat",                     // node-postgres
	"binary_parameters", "fallback_host", // lib/pq
	"prepareThreshold", "pool_max_conns", "pool_min_conns", // JDBC, pgxpool
}

// URLError says what is wrong with a connection string. It never repeats the string.
type URLError struct{ Problem, Fix string }

func (e *URLError) Error() string { return "connection string: " + e.Problem }

// Remedy tells how to mend the connection string.
func (e *URLError) Remedy() string { return e.Fix }

// parseURL reads a postgres URL without letting net/url's errors, which quote their input, out.
func parseURL(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil {
		return nil, &URLError{"it is not a valid URL", "percent-encode special characters of the user and the password (@ is %40, / is %2F, : is %3A)"}
	}
	if u.Fragment != "" || strings.HasSuffix(text, "#") {
		return nil, &URLError{"it contains a # as it is", "percent-encode it: # is %23"}
	}
	if u.Scheme != "postgres" && u.Scheme != "postgresql" {
		return nil, &URLError{"it does not begin with postgres:// or postgresql://", "give it in the form postgresql://user:password@host/database?sslmode=require"}
	}
	return u, nil
}

// directHost is the address of the compute behind Neon's connection pooler: "-pooler" is taken off the first label.
// Session state, advisory locks and startup parameters do not survive the pooler (PgBouncer in transaction mode).
func directHost(host string) (direct string, pooled bool) {
	hosts := strings.Split(host, ",")
	for i, h := range hosts {
		label, rest, dotted := strings.Cut(h, ".")
		if base, ok := strings.CutSuffix(label, "-pooler"); ok && dotted && base != "" {
			hosts[i], pooled = base+"."+rest, true
		}
	}
	return strings.Join(hosts, ","), pooled
}

// config turns a URL into pgx's configuration under the TLS policy: for every host that is neither loopback nor private,
// the server's certificate is verified in full whatever sslmode says, and sslmode=disable is refused; unless insecure.
func config(u url.URL, q url.Values, insecure bool) (*pgconn.Config, error) {
	q = maps.Clone(q)
	for _, name := range clientParameters {
		q.Del(name)
	}
	if !insecure && hasPublicHost(&u, q) {
		switch q.Get("sslmode") {
		case "disable":
			return nil, &URLError{"sslmode=disable sends the password and the data in the clear to a public host",
				"use sslmode=verify-full (or require, which is verified here all the same); allow-insecure: true permits it"}
		default:
			q.Set("sslmode", "verify-full")
		}
	}
	u.RawQuery = encodeQuery(q)
	cfg, err := pgconn.ParseConfig(u.String())
	if err != nil {
		var parse *pgconn.ParseConfigError
		if errors.As(err, &parse) && parse.Unwrap() != nil { // the outer text repeats the string, its password masked
			err = parse.Unwrap()
		}
		return nil, &URLError{fmt.Sprintf("it cannot be used: %v", err), "compare it with the one that the database's console shows"}
	}
	if host := unverifiedHost(cfg); host != "" && !insecure {
		return nil, &URLError{fmt.Sprintf("it leads to %s without verifying the server's certificate", host), "name one host in the plain form postgresql://user:password@host/database"}
	}
	return cfg, nil
}

// encodeQuery writes parameters as libpq and pgx read them: a space is %20, and + is itself.
func encodeQuery(q url.Values) string { return strings.ReplaceAll(q.Encode(), "+", "%20") }

// unverifiedHost checks the policy's outcome in what pgx made of the URL, in case the two read one differently: it returns
// a public host that would be connected to without full verification.
func unverifiedHost(cfg *pgconn.Config) string {
	if !PrivateHost(cfg.Host) && (cfg.TLSConfig == nil || cfg.TLSConfig.InsecureSkipVerify) {
		return cfg.Host
	}
	for _, f := range cfg.Fallbacks {
		if !PrivateHost(f.Host) && (f.TLSConfig == nil || f.TLSConfig.InsecureSkipVerify) {
			return f.Host
		}
	}
	return ""
}

// hasPublicHost reports whether any host of the URL is reached over a network that others share.
func hasPublicHost(u *url.URL, q url.Values) bool {
	var hosts []string
	for h := range strings.SplitSeq(u.Host, ",") {
		if name, _, err := net.SplitHostPort(h); err == nil {
			h = name
		}
		hosts = append(hosts, strings.Trim(h, "[]"))
	}
	for _, key := range []string{"host", "hostaddr"} { // libpq lets parameters override the authority
		if v := q.Get(key); v != "" {
			hosts = append(hosts, strings.Split(v, ",")...)
		}
	}
	return slices.ContainsFunc(hosts, func(h string) bool { return !PrivateHost(h) })
}

// PrivateHost reports whether a host is this machine or on a network of its own: a socket path, a loopback, private or
// link-local address, a name without a dot (a container or service name), or one under .localhost, .local or .internal.
// The decision is by name alone: what a resolver answers can be forged.
func PrivateHost(host string) bool {
	if host == "" || strings.HasPrefix(host, "/") || strings.HasPrefix(host, "@") {
		return true
	}
	if addr, err := netip.ParseAddr(host); err == nil {
		addr = addr.Unmap()
		return addr.IsLoopback() || addr.IsPrivate() || addr.IsLinkLocalUnicast()
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if !strings.Contains(host, ".") {
		return true
	}
	for _, suffix := range []string{".localhost", ".local", ".internal"} {
		if strings.HasSuffix(host, suffix) {
			return true
		}
	}
	return false
}
