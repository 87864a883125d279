package postgres

import (
	"fmt"
	"log/slog"
	"maps"
	"net/url"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
)

// Target is a database to connect to: a connection string that has been parsed once, made direct, and checked against
// the TLS policy. It cannot print itself: fmt, log/slog and encoding/json write server/database.
type Target struct {
	// fmt prints a struct's unexported fields without calling their methods, and follows a pointer to a struct if the verb
	// is not one for pointers. Of a pointer to a pointer it never prints more than an address. Nil: no database.
	hidden **target
}

type target struct {
	url    url.URL    // direct
	query  url.Values // of the url, every parameter as it was given
	config *pgconn.Config
	policy policy
	pooled bool
	direct *DirectTLS // never nil
}

// policy is what a connection string may say.
type policy struct {
	insecure bool // sslmode is taken at its word
	files    bool // parameters may name files of this machine
}

// ParseTarget reads a connection string of any origin, and replaces the name of Neon's pooler in it by that of the
// compute itself. Nothing but the text decides what the target is: no environment variable, no file of the user's.
//
// For every host that is neither loopback nor private, the server's certificate is verified in full, whatever sslmode
// says, and sslmode=disable is refused; insecure takes sslmode at its word. Errors: [*URLError], [*PlaintextError].
func ParseTarget(text string, insecure bool) (Target, error) {
	return parseTarget(text, policy{insecure: insecure})
}

// ParseTrusted is [ParseTarget] for a connection string that whoever runs the program wrote. Its sslrootcert, sslcert
// and sslkey may name files of this machine. Those in any other text, such as a row of a table, would make this machine
// trust an authority, or show a certificate, that somebody else has chosen.
func ParseTrusted(text string, insecure bool) (Target, error) {
	return parseTarget(text, policy{insecure: insecure, files: true})
}

func parseTarget(text string, p policy) (Target, error) {
	u, query, err := parseURL(text)
	if err != nil {
		return Target{}, err
	}
	direct, pooled := directHost(u.Host)
	u.Host = direct
	return newTarget(*u, query, p, pooled)
}

func newTarget(u url.URL, query url.Values, p policy, pooled bool) (Target, error) {
	cfg, err := config(u, query, p)
	if err != nil {
		return Target{}, err
	}
	t := &target{url: u, query: query, config: cfg, policy: p, pooled: pooled, direct: &DirectTLS{}}
	return Target{&t}, nil
}

// Sharing is the same database for a run that remembers in d which servers take TLS begun directly. Otherwise each
// target finds out by itself; so it does if d is nil.
func (t Target) Sharing(d *DirectTLS) Target {
	if d == nil {
		return t
	}
	shared := *t.get()
	shared.direct = d
	p := &shared
	return Target{&p}
}

func (t Target) get() *target { return *t.hidden }

// At is another database on the same server, with everything else as it is. Any name works.
func (t Target) At(database string) (Target, error) {
	query := maps.Clone(t.get().query)
	query.Del("dbname")
	query.Del("database") // pgx's other name for it
	u := t.get().url
	u.Path, u.RawPath, u.RawQuery = "/"+database, "", encodeQuery(query)
	if strings.ContainsAny(database, "/@") { // valid in a path, but readers of URLs, and parseURL, end a name there
		u.RawPath = "/" + strings.ReplaceAll(url.PathEscape(database), "@", "%40")
	}
	other, err := newTarget(u, query, t.get().policy, t.get().pooled)
	if err != nil {
		return Target{}, err
	}
	return other.Sharing(t.get().direct), nil
}

// Zero reports whether this is no database at all.
func (t Target) Zero() bool { return t.hidden == nil }

// Pooled reports whether the connection string named Neon's pooler; the target does not.
func (t Target) Pooled() bool { return t.get().pooled }

// Host is the server's name.
func (t Target) Host() string { return t.get().config.Host }

// Server is the server as host:port, in one form however the connection string writes it.
func (t Target) Server() string {
	return fmt.Sprintf("%s:%d", strings.ToLower(strings.TrimSuffix(t.get().config.Host, ".")), t.get().config.Port)
}

// Database is the database's name.
func (t Target) Database() string { return t.get().config.Database }

// Reveal returns the direct connection string, for the one call that needs it.
func (t Target) Reveal() string { return t.get().url.String() }

// Config is pgx's configuration under the TLS policy, the password included. Each call returns a copy.
func (t Target) Config() *pgconn.Config { return t.get().config.Copy() }

// Parameter is a parameter of the connection string as it was given, "" if it has none of that name.
func (t Target) Parameter(name string) string { return t.get().query.Get(name) }

// Verified reports whether the TLS policy has the server's certificate verified in full, whatever sslmode says.
func (t Target) Verified() bool {
	return !t.get().policy.insecure && hasPublicHost(&t.get().url, t.get().query)
}

// String is server/database.
func (t Target) String() string {
	if t.Zero() {
		return ""
	}
	return t.Server() + "/" + t.Database()
}

// Format implements fmt.Formatter, so that no verb reaches the connection string.
func (t Target) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(t.String())) }

// LogValue implements slog.LogValuer.
func (t Target) LogValue() slog.Value { return slog.StringValue(t.String()) }

// MarshalText implements encoding.TextMarshaler.
func (t Target) MarshalText() ([]byte, error) { return []byte(t.String()), nil }
