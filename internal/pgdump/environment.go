package pgdump

import (
	"cmp"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/org/neon-tenants-action/internal/postgres"
)

// keepalive is a connection string of settings that have no environment variable: a peer that vanished without a word is
// noticed after 15 + 4 × 5 s and not after the kernel's two hours. Everything else goes by environment; what is merged
// into this by libpq holds no secret, as it stands in the process list.
const keepalive = "keepalives_idle=15 keepalives_interval=5 keepalives_count=4 tcp_user_timeout=60000"

// libpq is how PostgreSQL's own programs are told where to connect.
type libpq struct {
	env      []string // complete, from nothing
	host     string
	database string
	secrets  []string // texts that no message may show
}

// baseEnvironment is what every child gets: nothing of ours, so that no token and no input of the job reaches it.
func baseEnvironment() []string {
	return []string{"PATH=/usr/bin:/bin", "LC_ALL=C.UTF-8", "HOME=/nonexistent"}
}

// passedOn are URL parameters (and, as libpq and pgx have it, variables of our own environment) that a child gets as they are.
var passedOn = map[string]string{
	"channel_binding": "PGCHANNELBINDING", "require_auth": "PGREQUIREAUTH",
	"sslcert": "PGSSLCERT", "sslkey": "PGSSLKEY", "sslcertmode": "PGSSLCERTMODE", "sslsni": "PGSSLSNI", "sslnegotiation": "PGSSLNEGOTIATION",
	"target_session_attrs": "PGTARGETSESSIONATTRS", "krbsrvname": "PGKRBSRVNAME",
	"min_protocol_version": "PGMINPROTOCOLVERSION", "max_protocol_version": "PGMAXPROTOCOLVERSION",
}

// libpqEnvironment makes a child's environment, under the same TLS policy as our own connections. settings are run-time
// parameters of the session beside those of the connection string, name=value.
func libpqEnvironment(t postgres.Target, settings ...string) (libpq, error) {
	cfg := t.Config()
	setting := func(name, variable string) string { return cmp.Or(t.Parameter(name), os.Getenv(variable)) }
	if setting("sslpassword", "PGSSLPASSWORD") != "" {
		return libpq{}, &postgres.URLError{
			Problem: "it has an sslpassword, which pg_dump and psql take only as an argument that every process could read",
			Fix:     "use a key file without a passphrase, or password authentication",
		}
	}
	l := libpq{host: cfg.Host, database: cfg.Database, env: baseEnvironment()}
	set := func(name, value string) {
		if value != "" {
			l.env = append(l.env, name+"="+value)
		}
	}
	hosts, ports := addresses(cfg)
	set("PGHOST", hosts)
	set("PGPORT", ports)
	set("PGUSER", cfg.User)
	set("PGDATABASE", cfg.Database)
	set("PGPASSWORD", cfg.Password)
	set("PGCONNECT_TIMEOUT", strconv.Itoa(int(postgres.AttemptTimeout.Seconds())))
	set("PGAPPNAME", cmp.Or(cfg.RuntimeParams["application_name"], "neon-tenants-action"))
	set("PGGSSENCMODE", "disable") // as pgx has it
	for name, variable := range passedOn {
		set(variable, setting(name, variable))
	}
	mode, root := setting("sslmode", "PGSSLMODE"), setting("sslrootcert", "PGSSLROOTCERT")
	if root == "system" || t.Verified() {
		mode = "verify-full"
	}
	if root == "system" || (root == "" && strings.HasPrefix(mode, "verify-")) {
		var err error
		if root, err = systemAuthorities(); err != nil {
			return libpq{}, err
		}
	}
	set("PGSSLMODE", mode)
	set("PGSSLROOTCERT", root)
	set("PGOPTIONS", sessionOptions(cfg.RuntimeParams, settings))
	slices.Sort(l.env)
	l.secrets = passwordForms(cfg.Password)
	return l, nil
}

// addresses are the hosts and ports as libpq lists them. pgx names a host twice where TLS is tried and then not.
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

// sessionOptions are the URL's run-time parameters and ours in the form of PGOPTIONS. Not the encoding, which would become
// that of the dump.
func sessionOptions(parameters map[string]string, ours []string) string {
	var options []string
	if given := parameters["options"]; given != "" {
		options = append(options, given)
	}
	var rest []string
	for name, value := range parameters {
		if !slices.Contains([]string{"options", "application_name", "fallback_application_name", "client_encoding", "replication"}, name) {
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

// authorityFiles are where systems keep the certificates they trust in one file; the list is that of Go's crypto/x509, so
// that pg_dump trusts whom [postgres.Connect] trusts. A file, because sslrootcert=system is known to libpq 16 and newer only, and
// which libpq a client of an older major is linked with is a matter of packaging.
var authorityFiles = []string{
	"/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem", "/etc/pki/tls/cacert.pem",
	"/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", "/etc/ssl/cert.pem",
}

func systemAuthorities() (string, error) {
	files := authorityFiles
	if f := os.Getenv("SSL_CERT_FILE"); f != "" {
		files = []string{f}
	}
	for _, f := range files {
		if _, err := os.Stat(f); err == nil { //nolint:gosec // SSL_CERT_FILE is whoever started us naming a file, as for Go itself
			return f, nil
		}
	}
	return "", &postgres.URLError{
		Problem: fmt.Sprintf("the server's certificate has to be verified, and this machine has no file of certificate authorities (looked for %s)", strings.Join(files, ", ")),
		Fix:     "install ca-certificates, or name the authority's file with sslrootcert= in the URL",
	}
}

// passwordForms are the ways in which a password could turn up in a message, longest first.
func passwordForms(password string) []string {
	if password == "" {
		return nil
	}
	forms := []string{password, url.QueryEscape(password), url.PathEscape(password), strings.Trim(strconv.Quote(password), `"`)}
	slices.SortFunc(forms, func(a, b string) int { return len(b) - len(a) })
	return slices.Compact(forms)
}

// redact takes the secrets out of what a child wrote.
func (l libpq) redact(text string) string {
	for _, s := range l.secrets {
		text = strings.ReplaceAll(text, s, "***")
	}
	return text
}
