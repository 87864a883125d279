package neontest

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/org/neon-tenants-action/internal/postgres/pgtest"
)

// copyDatabases copies databases for a branch with these roles, but does not add the copies to any branch.
func (s *Server) copyDatabases(ctx context.Context, from *contents, roles []*role, schemaOnly bool) (
	[]*database, error,
) {
	var copies []*database
	to := contents{roles: roles}
	for _, d := range from.databases {
		copied := *d
		copied.real = realName(d.name)
		if err := s.copyDatabase(ctx, copied.real, to.role(d.owner).real, d.real, schemaOnly); err != nil {
			return nil, fmt.Errorf("copy the database %s: %w", d.name, err)
		}
		for _, r := range from.roles {
			if err := s.reassign(ctx, copied.real, r.real, to.role(r.name).real); err != nil {
				return nil, fmt.Errorf("copy the database %s: %w", d.name, err)
			}
		}
		copies = append(copies, &copied)
	}
	return copies, nil
}

// copyDatabase copies a database without disturbing those who use it, as Neon does. PostgreSQL copies the files of a
// database, the quickest way, only while nobody is connected to it, so a busy one is dumped and loaded. A client that
// connects during the copy of the files waits for its end.
func (s *Server) copyDatabase(ctx context.Context, name, owner, source string, schemaOnly bool) error {
	if !schemaOnly {
		idle, err := s.isIdle(ctx, source)
		if err != nil {
			return err
		}
		if idle {
			err := s.pg.CreateDatabase(ctx, name, owner, source)
			var refused *pgconn.PgError
			if !errors.As(err, &refused) || refused.Code != "55006" { // object_in_use
				return err
			}
		}
	}
	if err := s.pg.CreateDatabase(ctx, name, owner, ""); err != nil {
		return err
	}
	return s.dumpAndLoad(ctx, name, source, schemaOnly)
}

// isIdle reports whether nobody is connected to a database. It is asked a few times, because a session that its client
// has just closed takes a moment to end. PostgreSQL itself would wait for five seconds before it refuses to copy.
func (s *Server) isIdle(ctx context.Context, name string) (idle bool, err error) {
	for range 4 {
		err = s.pg.Superuser(ctx, "postgres", func(conn *pgx.Conn) error {
			return conn.QueryRow(ctx, "SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE datname = $1 "+
				"AND backend_type <> 'autovacuum worker')", name).Scan(&idle) // which makes way for a copy
		})
		if idle || err != nil {
			return idle, err
		}
		time.Sleep(10 * time.Millisecond)
	}
	return false, nil
}

func (s *Server) dumpAndLoad(ctx context.Context, name, source string, schemaOnly bool) error {
	// A lock that excludes readers is the only thing in the source that the copy has to wait for.
	dump := s.client(ctx, "pg_dump", source, "--lock-wait-timeout=30s")
	if schemaOnly {
		dump.Args = append(dump.Args, "--schema-only")
	}
	load := s.client(ctx, "psql", name, "--no-psqlrc", "--quiet", "--single-transaction", "--set=ON_ERROR_STOP=1",
		"--output=/dev/null")
	var complaints strings.Builder
	load.Stderr = &complaints
	pipe, err := dump.StdoutPipe()
	if err != nil {
		return fmt.Errorf("copy a database: %w", err)
	}
	load.Stdin = pipe
	if err := dump.Start(); err != nil {
		return fmt.Errorf("copy a database: %w", err)
	}
	loaded := load.Run()
	if err := errors.Join(loaded, dump.Wait()); err != nil {
		return fmt.Errorf("copy a database: %w: %s", err, complaints.String())
	}
	return nil
}

// client returns a command for one of PostgreSQL's programs, which its environment connects as the superuser.
func (s *Server) client(ctx context.Context, name, database string, args ...string) *exec.Cmd {
	u, err := url.Parse(s.pg.URL(database))
	if err != nil {
		panic(err) // pgtest escapes what it puts into its URLs
	}
	password, _ := u.User.Password()
	cmd := exec.CommandContext(ctx, filepath.Join(s.pg.BinDir, name), args...)
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "LC_ALL=C.UTF-8", "PGHOST=" + u.Hostname(), "PGPORT=" + u.Port(),
		"PGUSER=" + u.User.Username(),
		"PGPASSWORD=" + password, "PGDATABASE=" + database,
	}
	return cmd
}

// reassign gives what a role owns in a database to another one. REASSIGN OWNED also gives away the role's other
// databases, which go back in the same transaction. Privileges that were granted to the role are not passed on.
func (s *Server) reassign(ctx context.Context, database, from, to string) error {
	if from == to {
		return nil
	}
	return s.pg.Superuser(ctx, database, func(conn *pgx.Conn) error {
		return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
			rows, err := tx.Query(ctx, "SELECT datname FROM pg_database WHERE datdba = $1::regrole AND "+
				"datname <> current_database()", pgtest.Identifier(from))
			if err != nil {
				return err
			}
			others, err := pgx.CollectRows(rows, pgx.RowTo[string])
			if err != nil {
				return err
			}
			statements := []string{"REASSIGN OWNED BY " + pgtest.Identifier(from) + " TO " + pgtest.Identifier(to)}
			for _, other := range others {
				statements = append(statements,
					"ALTER DATABASE "+pgtest.Identifier(other)+" OWNER TO "+pgtest.Identifier(from))
			}
			_, err = tx.Exec(ctx, strings.Join(statements, "; "))
			return err
		})
	})
}

// drop drops databases on the real server, and ends their connections.
func (s *Server) drop(ctx context.Context, databases ...string) error {
	var errs []error
	for _, name := range databases {
		errs = append(errs, s.pg.Exec(ctx, "postgres", "DROP DATABASE IF EXISTS "+pgtest.Identifier(name)+" WITH (FORCE)"))
	}
	return errors.Join(errs...)
}

// disconnect ends the sessions on a branch's databases, and returns when they have ended.
func (s *Server) disconnect(ctx context.Context, databases ...string) error {
	var list []string
	for _, name := range databases {
		list = append(list, pgtest.Literal(name))
	}
	if len(list) == 0 {
		return nil
	}
	return s.pg.Exec(ctx, "postgres",
		"SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname IN ("+strings.Join(list, ", ")+")")
}
