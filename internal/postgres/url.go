// Package postgres connects to PostgreSQL (connection strings, TLS policy, computes that have to start) and asks a
// server about its databases, schemas and recorded migrations. It knows neither tenants nor inputs: its errors carry
// facts.
package postgres

import (
	"cmp"
	"fmt"
	"maps"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/org/neon-tenants-action/internal/hosts"
	"github.com/org/neon-tenants-action/internal/sqltext"
)

// clientParameters are URL parameters that other clients interpret themselves and that a server refuses as unknown
// settings. Connection strings copied from an application's configuration have them.
var clientParameters = []string{
	"pgbouncer", "connection_limit", "pool_timeout", "statement_cache_size", "sslaccept", schemaParameter, // Prisma
	"uselibpqcompat",                     // node-postgres
	"binary_parameters", "fallback_host", // lib/pq
	"prepareThreshold", "pool_max_conns", "pool_min_conns", // JDBC, pgxpool
}

// schemaParameter is Prisma's parameter for the schema that an application works in. Ignoring any other than public
// would be wrong: connection strings for several schemas of one database would all mean public.
const schemaParameter = "schema"

// URLError says what is wrong with a connection string. It never repeats the string.
type URLError struct{ Problem, Fix string }

func (e *URLError) Error() string { return "connection string: " + e.Problem }

// Remedy says how to correct the connection string.
func (e *URLError) Remedy() string { return e.Fix }

// PlaintextError is the error of a connection string for a public host that turns encryption off.
type PlaintextError struct{}

func (e *PlaintextError) Error() string {
	return "connection string: sslmode=disable sends the password and the data in the clear to a public host"
}

// parseURL reads a postgres URL and its parameters.
func parseURL(text string) (*url.URL, url.Values, error) {
	if err := checkEncoding(text); err != nil {
		return nil, nil, err
	}
	u, err := url.Parse(text)
	if err != nil { // it quotes its input
		return nil, nil, &URLError{"its host or port is not valid", wholeForm}
	}
	q, err := readParameters(u.RawQuery)
	return u, q, err
}

// directHost is the address of the compute behind Neon's connection pooler: it takes "-pooler" off the first label.
// Session state, advisory locks and startup parameters do not survive the pooler (PgBouncer in transaction mode).
func directHost(host string) (direct string, pooled bool) {
	names := strings.Split(host, ",")
	for i, h := range names {
		label, rest, dotted := strings.Cut(h, ".")
		if base, ok := strings.CutSuffix(label, "-pooler"); ok && dotted && base != "" {
			names[i], pooled = base+"."+rest, true
		}
	}
	return strings.Join(names, ","), pooled
}

// sslModes are those of libpq that encrypt or may, none, and node-postgres's own for no verification.
var sslModes = []string{"", "allow", "prefer", "require", "verify-ca", "verify-full", "no-verify"}

// config turns a URL into pgx's configuration under the policy.
func config(u url.URL, q url.Values, p policy) (*pgconn.Config, error) {
	if schema := q.Get(schemaParameter); schema != "" && schema != "public" {
		return nil, schemaError(schema)
	}
	if err := checkFiles(q, p.files); err != nil {
		return nil, err
	}
	q = maps.Clone(q)
	for _, name := range clientParameters {
		q.Del(name)
	}
	if !p.insecure && hasPublicHost(&u, q) {
		switch mode := q.Get("sslmode"); {
		case mode == "disable":
			return nil, &PlaintextError{}
		case !slices.Contains(sslModes, mode):
			return nil, &URLError{fmt.Sprintf("there is no sslmode %q", mode), "write sslmode=verify-full, or leave it out"}
		}
		q.Set("sslmode", "verify-full")
	}
	if way := q.Get("sslnegotiation"); !slices.Contains([]string{"", "postgres", "direct"}, way) {
		return nil, &URLError{
			fmt.Sprintf("there is no sslnegotiation %q", way), "write direct or postgres, or leave it out"}
	}
	given := maps.Clone(q)
	if err := applyLibpq(&u, q); err != nil {
		return nil, err
	}
	cfg, err := parseAlone(u, q)
	if err != nil {
		return nil, err
	}
	if err := cmp.Or(connectTo(cfg, servers(&u, q), given.Get("hostaddr")), limitTLSVersions(cfg, given)); err != nil {
		return nil, err
	}
	if host := unverifiedHost(cfg); host != "" && !p.insecure {
		return nil, &URLError{fmt.Sprintf("it leads to %s without verifying the server's certificate", host),
			"name one host in the plain form postgresql://user:password@host/database"}
	}
	return cfg, nil
}

func schemaError(schema string) error {
	path := schema
	if !plainName.MatchString(path) {
		path = sqltext.QuoteIdentifier(path)
	}
	return &URLError{
		fmt.Sprintf("its parameter schema=%s is Prisma's and means one schema of the database, where a connection "+
			"string means all of it", schema),
		fmt.Sprintf("to work in that schema alone, write search_path=%s instead; to work in several schemas of the "+
			"database, leave the parameter out", url.PathEscape(path)),
	}
}

// plainName is a name that means the same in SQL without quotes.
var plainName = regexp.MustCompile(`^[a-z_][a-z0-9_]*$`)

// encodeQuery writes parameters as libpq and pgx read them: a space is %20, and + is itself.
func encodeQuery(q url.Values) string { return strings.ReplaceAll(q.Encode(), "+", "%20") }

// unverifiedHost checks the policy once more in pgx's configuration, in case pgx reads a URL differently: it returns a
// public host that would be connected to without full verification.
func unverifiedHost(cfg *pgconn.Config) string {
	if !hosts.Private(cfg.Host) && (cfg.TLSConfig == nil || cfg.TLSConfig.InsecureSkipVerify) {
		return cfg.Host
	}
	for _, f := range cfg.Fallbacks {
		if !hosts.Private(f.Host) && (f.TLSConfig == nil || f.TLSConfig.InsecureSkipVerify) {
			return f.Host
		}
	}
	return ""
}

// hasPublicHost reports whether any host of the URL is reached over a public network.
func hasPublicHost(u *url.URL, q url.Values) bool {
	names := authorityHosts(u)
	for _, key := range []string{"host", "hostaddr"} { // libpq lets parameters override the authority
		if v := q.Get(key); v != "" {
			names = append(names, strings.Split(v, ",")...)
		}
	}
	return slices.ContainsFunc(names, func(h string) bool { return !hosts.Private(h) })
}

// authorityHosts are the hosts that stand before the path.
func authorityHosts(u *url.URL) []string {
	var names []string
	for h := range strings.SplitSeq(u.Host, ",") {
		if name, _, err := net.SplitHostPort(h); err == nil {
			h = name
		}
		names = append(names, strings.Trim(h, "[]"))
	}
	return names
}
