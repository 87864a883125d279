package postgres

import (
	"context"

	"github.com/org/neon-tenants-action/internal/sqltext"
)

// scratchForm is the regular expression of throwaway databases' names.
const scratchForm = `^` + scratchPrefix + `[0-9]{10}_[a-z2-7]{16}$`

// staleScratchQuery returns the server's time, and a few of the role's throwaway databases that are older than a day
// and that nobody uses: those of runs that were killed. A job lasts six hours at most on GitHub's own runners. Times of
// equally many digits are compared as text, because a cast would fail for other databases' names.
const staleScratchQuery = `select extract(epoch from pg_catalog.now())::bigint;
select d.datname from pg_catalog.pg_database d
where d.datname ~ '` + scratchForm + `'
	and pg_catalog.substr(d.datname::text, pg_catalog.length('` + scratchPrefix + `') + 1, 10) collate "C"
		< (extract(epoch from pg_catalog.now())::bigint - 86400)::text
	and d.datdba = (select oid from pg_catalog.pg_roles where rolname = current_user)
	and not exists (select from pg_catalog.pg_stat_activity a where a.datid = d.oid)
order by 1 limit 3`

func (c *Conn) staleScratches(ctx context.Context) (now string, stale []string, err error) {
	answers, err := c.Results(ctx, staleScratchQuery)
	if err != nil {
		return "", nil, err
	}
	for _, row := range answers[1] {
		stale = append(stale, string(row[0]))
	}
	return string(answers[0][0][0]), stale, nil
}

// dropStale drops databases, unless somebody has connected to one meanwhile. An error is nobody's concern: the next run
// tries again.
func (c *Conn) dropStale(ctx context.Context, names []string) {
	for _, name := range names {
		if _, err := c.Exec(ctx, "drop database if exists "+sqltext.QuoteIdentifier(name)); err != nil {
			c.log.Info("the throwaway database of an earlier run was not dropped", "database", name, "because", err)
			continue
		}
		c.log.Info("dropped the throwaway database of an earlier run", "database", name)
	}
}
