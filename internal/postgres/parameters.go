package postgres

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
)

// readParameters reads a URL's parameters. Each may be given once: of several, readers take the first or the last, and
// what one has checked would not be what another one uses.
func readParameters(raw string) (url.Values, error) {
	q, err := url.ParseQuery(raw)
	if err != nil {
		return nil, &URLError{"its parameters cannot be read", "percent-encode special characters in them"}
	}
	for name, values := range q {
		if len(values) > 1 {
			return nil, &URLError{"a parameter is given more than once" + naming(name), "leave one of them"}
		}
	}
	if !q.Has("password") {
		return q, nil
	}
	for name := range q {
		if !known(name) { // it is the rest of a password that holds an &, and the server would repeat it
			return nil, &URLError{"beside the parameter password it has one that is not a client's", "percent-encode " +
				"special characters of the password (& is %26), or put it before the host: postgresql://user:password@host"}
		}
	}
	return q, nil
}

// naming completes a message with the name of a parameter if it is a known one. Any other may be part of a secret.
func naming(name string) string {
	if known(name) {
		return ": " + name
	}
	return ""
}

func known(name string) bool {
	return slices.Contains(libpqParameters, name) || slices.Contains(libpqOnly, name) ||
		slices.Contains(clientParameters, name) || slices.Contains(indirect, name)
}

// libpqParameters are those that clients interpret themselves, and the settings that they know by name. A server takes
// any other for a setting of the session.
var libpqParameters = []string{
	"host", "port", "dbname", "database", "user", "password", "connect_timeout", "options",
	"application_name", "client_encoding", "search_path", "timezone",
	"sslmode", "ssl", "sslnegotiation", "sslcert", "sslkey", "sslpassword", "sslcertmode", "sslrootcert", "sslsni",
	"channel_binding", "require_auth", "target_session_attrs", "min_protocol_version", "max_protocol_version",
	"krbsrvname", "krbspn",
}

// indirect are parameters that have a client take more from a file of this machine, or write one.
var indirect = []string{"service", "servicefile", "passfile", "sslcrl", "sslcrldir", "sslkeylogfile"}

// checkFiles refuses parameters that name files of this machine. files permits those of a certificate.
func checkFiles(q url.Values, files bool) error {
	for _, name := range indirect {
		if q.Has(name) {
			return &URLError{fmt.Sprintf("its parameter %s names a file of this machine, or an entry of one", name),
				"write what the connection needs into the connection string itself: user, password, host and database"}
		}
	}
	if files {
		return nil
	}
	for _, name := range []string{"sslrootcert", "sslcert", "sslkey"} {
		if value := q.Get(name); value != "" && (name != "sslrootcert" || value != "system") {
			return &URLError{fmt.Sprintf("its parameter %s names a file of this machine, which it may not "+
				"choose", name), "take it out; for a private authority, have the variable SSL_CERT_FILE name a file that " +
				"holds its certificate beside the system's"}
		}
	}
	return nil
}

// defaults are the values that take the place of those that pgx would read from libpq's variables and from files in the
// home directory. An empty one stands for no value.
var defaults = map[string]string{
	"password": "", "dbname": "", "options": "", "application_name": "", "timezone": "",
	"passfile": "", "servicefile": "", "sslcert": "", "sslkey": "", "sslrootcert": "", "sslpassword": "",
	"sslmode": "", "sslsni": "", "sslnegotiation": "", "sslcertmode": "allow",
	"channel_binding": "", "require_auth": "", "min_protocol_version": "", "max_protocol_version": "",
	"target_session_attrs": "any", "connect_timeout": "0",
}

// parseAlone has pgx parse a connection string, by which alone it goes.
func parseAlone(u url.URL, q url.Values) (*pgconn.Config, error) {
	switch {
	case slices.Contains(servers(&u, q), ""):
		return nil, &URLError{"it names no server", plainForm}
	case u.User.Username() == "" && q.Get("user") == "":
		return nil, &URLError{"it names no user", wholeForm}
	}
	if !q.Has("port") && u.Port() == "" && !strings.Contains(u.Host, ",") {
		q.Set("port", "5432") // for all hosts
	}
	if q.Get("ssl") == "true" { // JDBC's
		q.Del("ssl")
		if !q.Has("sslmode") {
			q.Set("sslmode", "require")
		}
	}
	absent := fill(&u, q)
	u.RawQuery = encodeQuery(q)
	// The one variable that a connection string does not override. Nothing in this process is to read it.
	if err := os.Unsetenv("PGSERVICE"); err != nil {
		return nil, fmt.Errorf("clear PGSERVICE: %w", err)
	}
	cfg, err := pgconn.ParseConfig(u.String())
	if err != nil {
		return nil, refusal(err)
	}
	for _, name := range absent {
		delete(cfg.RuntimeParams, name) // a server would refuse empty ones
	}
	return cfg, nil
}

// fill adds the defaults of what the URL does not give, and returns their names.
func fill(u *url.URL, q url.Values) (absent []string) {
	password, _ := u.User.Password() // pgx takes an empty one for none
	given := map[string]bool{"password": password != "", "dbname": q.Has("database") || strings.Trim(u.Path, "/") != ""}
	for name, value := range defaults {
		if !given[name] && !q.Has(name) {
			q.Set(name, value)
			absent = append(absent, name)
		}
	}
	return absent
}

// refusal is pgx's error without the connection string, which pgx repeats.
func refusal(err error) error {
	why := "its port, or the value of a parameter, is none"
	var parse *pgconn.ParseConfigError
	if errors.As(err, &parse) && parse.Unwrap() != nil {
		why = parse.Unwrap().Error()
	}
	return &URLError{"it cannot be used: " + why, "compare it with the one that the database's console shows"}
}
