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
	lexer := l.script.lexer
	if name, rest := named(sql, lexer, "create", "schema"); name != "" && rest == "" && l.schemas {
		return l.holds(ctx, "the target has it", `pg_catalog.to_regnamespace(%s) is not null`, name)
	}
	if name, rest := named(sql, lexer, "comment", "on", "schema"); name != "" && tokens(rest, lexer, 1)[0] == "is" {
		return l.holds(ctx, foreignOwner, `exists (select from pg_catalog.pg_namespace
			where oid = pg_catalog.to_regnamespace(%s) and not pg_catalog.pg_has_role(nspowner, 'usage'))`, name)
	}
	if name, rest := named(sql, lexer, "comment", "on", "extension"); name != "" && tokens(rest, lexer, 1)[0] == "is" {
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

// named returns the name, as it is spelled, that follows the words with which a statement begins, and what comes after
// it. The name is empty if the statement begins in another way.
func named(sql string, lexer sqltext.Lexer, words ...string) (name, rest string) {
	for i := 0; i < len(sql); {
		end, kind, _ := lexer.Token(sql, i)
		switch {
		case kind == sqltext.Blank && name != "":
			return name, sql[end:]
		case kind == sqltext.Blank:
		case len(words) > 0 && strings.EqualFold(sql[i:end], words[0]):
			words = words[1:]
		case len(words) > 0:
			return "", ""
		default:
			name += sql[i:end] // a name in quotes is several tokens if it has quotes in it
		}
		i = end
	}
	return name, ""
}
