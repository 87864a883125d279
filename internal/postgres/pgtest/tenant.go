package pgtest

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"strings"

	"github.com/jackc/pgx/v5"
)

// URL is the superuser's connection string for a database, in the form of Neon's.
func (s *Server) URL(database string) string {
	return s.TenantURL(Superuser, s.password, database)
}

// TenantURL is the connection string of any role for a database, in the form of Neon's.
func (s *Server) TenantURL(role, password, database string) string {
	parameters := "sslmode=require&channel_binding=require"
	if s.options.NoTLS {
		parameters = "sslmode=disable"
	}
	return fmt.Sprintf("postgresql://%s:%s@%s:%d/%s?%s",
		escape(role), escape(password), s.Host, s.Port, escape(database), parameters)
}

// escape percent-encodes everything except letters, digits and "-_.~", so that no parser of URLs mistakes a character
// for a separator.
func escape(text string) string { return strings.ReplaceAll(url.QueryEscape(text), "+", "%20") }

// CreateTenant creates a role and a database that the role owns, including the public schema, and returns its URL.
func (s *Server) CreateTenant(ctx context.Context, role, password, database string) (string, error) {
	err := s.Exec(ctx, "postgres", "CREATE ROLE "+Identifier(role)+" LOGIN PASSWORD "+Literal(password))
	if err == nil {
		err = s.CreateDatabase(ctx, database, role, "")
	}
	if err != nil {
		return "", fmt.Errorf("create the tenant %s: %w", database, err)
	}
	return s.TenantURL(role, password, database), nil
}

// CreateDatabase creates a database for a role: a copy of the template, to which nobody may be connected; without a
// template an empty one, whose public schema also belongs to the role.
func (s *Server) CreateDatabase(ctx context.Context, database, owner, template string) error {
	empty := template == ""
	if empty {
		template = "template0"
	}
	statement := fmt.Sprintf("CREATE DATABASE %s OWNER %s TEMPLATE %s",
		Identifier(database), Identifier(owner), Identifier(template))
	if s.Version >= 15 {
		// The default since 15 writes all pages to the log. It takes more than twice as long here, where a checkpoint
		// costs next to nothing.
		statement += " STRATEGY FILE_COPY"
	}
	if err := s.Exec(ctx, "postgres", statement); err != nil {
		return err
	}
	if empty && s.Version < 15 { // since 15 the public schema belongs to the database's owner
		return s.Exec(ctx, database, "ALTER SCHEMA public OWNER TO "+Identifier(owner))
	}
	return nil
}

// Exec runs statements one by one as the superuser, each in a transaction of its own.
func (s *Server) Exec(ctx context.Context, database string, statements ...string) error {
	return s.Superuser(ctx, database, func(conn *pgx.Conn) error {
		for _, statement := range statements {
			if _, err := conn.PgConn().Exec(ctx, statement).ReadAll(); err != nil {
				return err
			}
		}
		return nil
	})
}

// Superuser calls use with a superuser's connection. It keeps connections to the database postgres for the next caller,
// and closes those to others, because an idle one keeps a database from being dropped or copied.
func (s *Server) Superuser(ctx context.Context, database string, use func(*pgx.Conn) error) error {
	s.mu.Lock()
	var conn *pgx.Conn
	if idle := s.idle[database]; len(idle) > 0 {
		conn, s.idle[database] = idle[len(idle)-1], idle[:len(idle)-1]
	}
	s.mu.Unlock()
	if conn == nil {
		var err error
		if conn, err = pgx.Connect(ctx, s.URL(database)); err != nil {
			return fmt.Errorf("connect as superuser: %w", err)
		}
	}
	err := use(conn)
	const maxIdle = 16
	s.mu.Lock()
	reuse := database == "postgres" && !conn.IsClosed() && s.process != nil && len(s.idle[database]) < maxIdle
	if reuse {
		s.idle[database] = append(s.idle[database], conn)
	}
	s.mu.Unlock()
	if !reuse {
		_ = conn.Close(context.WithoutCancel(ctx)) // use has its result, which is all that matters
	}
	return err
}

// Identifier quotes a name for SQL.
func Identifier(name string) string { return pgx.Identifier{name}.Sanitize() }

// Literal quotes a text for SQL.
func Literal(text string) string {
	quoted := "'" + strings.ReplaceAll(text, "'", "''") + "'"
	if strings.Contains(text, `\`) {
		return " E" + strings.ReplaceAll(quoted, `\`, `\\`)
	}
	return quoted
}

// PublicURL is a connection string with another address, host:port, in the form in which it names a public host. The
// TLS policy verifies that host's certificate in full.
func (s *Server) PublicURL(text, address string) (string, error) {
	u, err := url.Parse(text)
	if err != nil {
		return "", fmt.Errorf("a connection string is not a URL")
	}
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return "", err
	}
	u.Host = net.JoinHostPort("0.0.0.0", port)
	q := u.Query()
	q.Set("sslmode", "verify-full")
	q.Set("sslrootcert", s.CAFile)
	u.RawQuery = q.Encode()
	return u.String(), nil
}
