package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/org/neon-tenants-action/internal/sqltext"
)

// Setting is what ALTER DATABASE … SET has given a database, or ALTER ROLE … IN DATABASE … SET the session's role in
// it. CREATE DATABASE copies none of them from its template, and pg_dump none without --create.
type Setting struct{ Name, value string }

// Settings returns those of the database. Of two with one name the later one counts.
func (c *Conn) Settings(ctx context.Context) (all []Setting, err error) {
	answers, err := c.Results(ctx, `select pg_catalog.split_part(u.s, '=', 1),
			pg_catalog.substr(u.s, pg_catalog.strpos(u.s, '=') + 1)
		from pg_catalog.pg_db_role_setting r
		join pg_catalog.pg_database d on d.oid = r.setdatabase and d.datname = pg_catalog.current_database()
		left join pg_catalog.pg_roles o on o.oid = r.setrole
		cross join lateral pg_catalog.unnest(r.setconfig) with ordinality as u(s, n)
		where r.setrole = 0 or o.rolname = session_user order by r.setrole <> 0, u.n`)
	if err != nil {
		return nil, fmt.Errorf("read the database's settings: %w", err)
	}
	for _, row := range answers[0] {
		all = append(all, Setting{string(row[0]), string(row[1])})
	}
	return all, nil
}

// ApplySettings gives them to a database that the role owns. It returns the names of those that the server refuses, as
// it does those that only a superuser may set.
func ApplySettings(ctx context.Context, to Target, settings []Setting) (refused []string, err error) {
	if len(settings) == 0 {
		return nil, nil
	}
	c, err := Connect(ctx, to, Options{})
	if err != nil {
		return nil, err
	}
	defer c.Close()
	for _, s := range settings {
		parts := strings.Split(s.Name, ".")
		for i := range parts {
			parts[i] = sqltext.QuoteIdentifier(parts[i])
		}
		name := strings.Join(parts, ".")
		// FROM CURRENT takes the value as it is: a list needs no quotes of its own.
		_, err := c.Exec(ctx, fmt.Sprintf("select pg_catalog.set_config(%s, %s, false); "+
			"alter database %s set %s from current; reset %[4]s", sqltext.QuoteLiteral(s.Name), sqltext.QuoteLiteral(s.value),
			sqltext.QuoteIdentifier(to.Database()), name))
		switch {
		case errors.As(err, new(*pgconn.PgError)) && !c.Closed():
			refused = append(refused, s.Name)
		case err != nil:
			return refused, fmt.Errorf("give a copy the database's settings: %w", err)
		}
	}
	return refused, nil
}
