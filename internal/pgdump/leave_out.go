package pgdump

import (
	"context"
	"fmt"
	"strings"

	"github.com/org/neon-tenants-action/internal/sqltext"
)

// A dump creates each schema, and comments on each schema and extension, that its database has. Those that the target
// has already, with an owner of their own (an extension is often a superuser's, and so is the schema that it is in),
// would end the restore there, for nothing: pg_dump writes the comment that the extension's own script makes.

// leftOut returns why a statement is left out of the restore; empty if it has to run. Only statements of exactly these
// forms are, and only after the server was asked.
func (l *load) leftOut(ctx context.Context, sql string) (why string, err error) {
	if !strings.HasPrefix(sql, "C") { // as pg_dump writes create and comment; most statements are something else
		return "", nil
	}
	first := sqltext.Leading(sql, sqltext.Statement{End: len(sql)}, 6)
	name := first[min(3, len(first)-1)]
	switch {
	case len(first) == 3 && sqltext.Begins(first, "create", "schema") && l.schemas:
		return l.holds(ctx, "the target has it", `pg_catalog.to_regnamespace(%s) is not null`, first[2])
	case len(first) < 6 || first[4] != "is":
		return "", nil
	case sqltext.Begins(first, "comment", "on", "schema"):
		return l.holds(ctx, foreignOwner, `exists (select from pg_catalog.pg_namespace
			where oid = pg_catalog.to_regnamespace(%s) and not pg_catalog.pg_has_role(nspowner, 'usage'))`, name)
	case sqltext.Begins(first, "comment", "on", "extension"):
		if unquoted, ok := sqltext.Unquote(name); ok {
			name = unquoted
		}
		return l.holds(ctx, foreignOwner, `exists (select from pg_catalog.pg_extension
			where extname = %s and not pg_catalog.pg_has_role(extowner, 'usage'))`, name)
	}
	return "", nil
}

const foreignOwner = "another role owns it"

// holds returns why if the server says that the condition, which is about a name, is true.
func (l *load) holds(ctx context.Context, why, condition, name string) (string, error) {
	if err := l.flush(ctx); err != nil {
		return "", err
	}
	answers, err := l.conn.Results(ctx, fmt.Sprintf("select "+condition, sqltext.QuoteLiteral(name)))
	if err != nil {
		return "", l.failure("look for "+printable(name), err)
	}
	if string(answers[0][0][0]) != "t" {
		return "", nil
	}
	return why, nil
}
