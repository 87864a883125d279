package pgdump

import (
	"cmp"
	"crypto/tls"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/org/neon-tenants-action/internal/postgres"
)

// keepalive is a connection string with the settings that have no environment variable: a peer that vanished is noticed
// after 15 + 4 × 5 s; the kernel's default is two hours. Everything else goes by environment. The process list shows
// this string, so it must hold no secret.
const keepalive = "keepalives_idle=15 keepalives_interval=5 keepalives_count=4 tcp_user_timeout=60000"

// libpq tells PostgreSQL's programs where to connect.
type libpq struct {
	env      []string // the whole environment
	host     string
	database string
	secrets  []string // texts that no message may show
}

// nowhere is a path at which there can be no file, because /dev/null is not a directory.
const nowhere = "/dev/null/none"

// baseEnvironment is the environment of every child: nothing of ours, so that no token, no input and no default of the
// job's reaches it. HOME alone would not keep libpq from a home directory: before PostgreSQL 15 it asks the system for
// the user's.
func baseEnvironment() []string {
	return []string{
		"PATH=/usr/bin:/bin", "LC_ALL=C.UTF-8", "HOME=" + nowhere, "PGSYSCONFDIR=" + nowhere, "PGSERVICEFILE=" + nowhere,
		"PGPASSFILE=" + nowhere, "PGSSLCRL=" + nowhere,
	}
}

// passedOn are URL parameters that a child receives as they are, by the variable that libpq reads.
var passedOn = map[string]string{
	"channel_binding":      "PGCHANNELBINDING",
	"require_auth":         "PGREQUIREAUTH",
	"sslcertmode":          "PGSSLCERTMODE",
	"sslsni":               "PGSSLSNI",
	"sslnegotiation":       "PGSSLNEGOTIATION",
	"target_session_attrs": "PGTARGETSESSIONATTRS",
	"krbsrvname":           "PGKRBSRVNAME",
	"min_protocol_version": "PGMINPROTOCOLVERSION",
	"max_protocol_version": "PGMAXPROTOCOLVERSION",
}

// libpqEnvironment makes a child's environment, under the same TLS policy as our own connections. settings are run-time
// parameters of the session in addition to those of the connection string, as name=value. The error is a
// [*postgres.URLError].
func libpqEnvironment(t postgres.Target, settings ...string) (libpq, error) {
	cfg := t.Config()
	if t.Parameter("sslpassword") != "" {
		return libpq{}, &postgres.URLError{
			Problem: "it has an sslpassword, which pg_dump takes only as an argument that every process could read",
			Fix:     "use a key file without a passphrase, or password authentication",
		}
	}
	mode := sslMode(cfg)
	root, err := authorities(t, mode)
	if err != nil {
		return libpq{}, err
	}
	hosts, ports := addresses(cfg)
	variables := map[string]string{
		"PGHOST":            hosts,
		"PGHOSTADDR":        t.Parameter("hostaddr"),
		"PGPORT":            ports,
		"PGUSER":            cfg.User,
		"PGDATABASE":        cfg.Database,
		"PGPASSWORD":        cfg.Password,
		"PGCONNECT_TIMEOUT": strconv.Itoa(int(postgres.AttemptTimeout.Seconds())),
		"PGAPPNAME":         cmp.Or(cfg.RuntimeParams["application_name"], "neon-tenants-action"),
		"PGGSSENCMODE":      "disable", // as pgx has it
		"PGSSLMODE":         mode,
		"PGSSLROOTCERT":     root,
		"PGSSLCERT":         cmp.Or(t.Parameter("sslcert"), nowhere),
		"PGSSLKEY":          cmp.Or(t.Parameter("sslkey"), nowhere),
		"PGOPTIONS":         sessionOptions(cfg.RuntimeParams, settings),
	}
	if c := cfg.TLSConfig; c != nil {
		variables["PGSSLMINPROTOCOLVERSION"] = tlsVersions[c.MinVersion]
		variables["PGSSLMAXPROTOCOLVERSION"] = tlsVersions[c.MaxVersion]
	}
	for name, variable := range passedOn {
		variables[variable] = t.Parameter(name)
	}
	l := libpq{
		env: baseEnvironment(), host: cfg.Host, database: cfg.Database, secrets: passwordForms(cfg.Password),
	}
	for name, value := range variables {
		if value != "" {
			l.env = append(l.env, name+"="+value)
		}
	}
	slices.Sort(l.env)
	return l, nil
}

// tlsVersions are libpq's names of those that a connection string can ask for. Any other is libpq's own, as it is Go's.
var tlsVersions = map[uint16]string{tls.VersionTLS12: "TLSv1.2", tls.VersionTLS13: "TLSv1.3"}

// sslMode is libpq's name for what our own connection does about TLS.
func sslMode(cfg *pgconn.Config) string {
	var ways []*tls.Config // of the first server that is not reached by a socket, in the order in which they are tried
	host := ""
	for _, f := range append([]*pgconn.FallbackConfig{{Host: cfg.Host, TLSConfig: cfg.TLSConfig}}, cfg.Fallbacks...) {
		if host == "" && !strings.HasPrefix(f.Host, "/") {
			host = f.Host
		}
		if f.Host == host {
			ways = append(ways, f.TLSConfig)
		}
	}
	switch {
	case len(ways) == 0, len(ways) == 1 && ways[0] == nil:
		return "disable"
	case ways[0] == nil:
		return "allow"
	case slices.Contains(ways, nil):
		return "prefer"
	case !ways[0].InsecureSkipVerify:
		return "verify-full"
	case ways[0].VerifyPeerCertificate != nil:
		return "verify-ca"
	}
	return "require"
}

// authorities is the file of the authorities that libpq is to trust.
func authorities(t postgres.Target, mode string) (string, error) {
	root := t.Parameter("sslrootcert")
	switch {
	case root == "system", root == "" && strings.HasPrefix(mode, "verify-"):
		return systemAuthorities()
	case root == "":
		return nowhere, nil // a file in the home directory would have libpq verify by that
	}
	return root, nil
}

// addresses are the hosts and ports as libpq lists them. pgx names a host twice if it tries it with TLS and then
// without.
func addresses(cfg *pgconn.Config) (hosts, ports string) {
	var h, p []string
	add := func(host string, port uint16) {
		number := strconv.Itoa(int(port))
		if n := len(h); n == 0 || h[n-1] != host || p[n-1] != number {
			h, p = append(h, host), append(p, number)
		}
	}
	add(cfg.Host, cfg.Port)
	for _, f := range cfg.Fallbacks {
		add(f.Host, f.Port)
	}
	return strings.Join(h, ","), strings.Join(p, ",")
}

// sessionOptions are the URL's run-time parameters and ours in the form of PGOPTIONS. They leave out the encoding,
// which would become that of the dump.
func sessionOptions(parameters map[string]string, ours []string) string {
	var options []string
	if given := parameters["options"]; given != "" {
		options = append(options, given)
	}
	var rest []string
	for name, value := range parameters {
		if !slices.Contains([]string{
			"options", "application_name", "fallback_application_name", "client_encoding", "replication",
		}, name) {
			rest = append(rest, name+"="+value)
		}
	}
	slices.Sort(rest)
	escape := strings.NewReplacer(`\`, `\\`, " ", `\ `, "\t", "\\\t", "\n", "\\\n")
	for _, s := range append(rest, ours...) {
		options = append(options, "-c "+escape.Replace(s))
	}
	return strings.Join(options, " ")
}

// authorityFiles are where systems keep the certificates that they trust in one file. The list is that of Go's
// crypto/x509, so that pg_dump trusts whom [postgres.Connect] trusts. sslrootcert=system does not do: it needs libpq
// 16, and which libpq an older client is linked with depends on the packages.
var authorityFiles = []string{
	"/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem",
	"/etc/pki/tls/cacert.pem", "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", "/etc/ssl/cert.pem",
}

func systemAuthorities() (string, error) {
	files := authorityFiles
	if f := os.Getenv("SSL_CERT_FILE"); f != "" {
		files = []string{f}
	}
	for _, f := range files {
		if _, err := os.Stat(f); err == nil { //nolint:gosec // whoever started us chose SSL_CERT_FILE, as for Go itself
			return f, nil
		}
	}
	return "", &postgres.URLError{
		Problem: fmt.Sprintf("the server's certificate has to be verified, and this machine has no file of "+
			"certificate authorities (looked for %s)", strings.Join(files, ", ")),
		Fix: "install ca-certificates, or have the variable SSL_CERT_FILE name the authorities' file",
	}
}

// passwordForms are the forms in which a password could appear in a message, longest first.
func passwordForms(password string) []string {
	if password == "" {
		return nil
	}
	forms := []string{
		password, url.QueryEscape(password), url.PathEscape(password), strings.Trim(strconv.Quote(password), `"`),
	}
	slices.SortFunc(forms, func(a, b string) int { return len(b) - len(a) })
	return slices.Compact(forms)
}

// redact removes the secrets from what a child wrote.
func (l libpq) redact(text string) string {
	for _, s := range l.secrets {
		text = strings.ReplaceAll(text, s, "***")
	}
	return text
}
