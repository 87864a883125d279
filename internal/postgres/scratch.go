package postgres

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/org/neon-tenants-action/internal/grace"
	"github.com/org/neon-tenants-action/internal/sqltext"
)

const (
	// scratchPrefix begins the names of throwaway databases, so that whoever finds one knows where it came from. The time
	// follows, in seconds since 1970, and a random part.
	scratchPrefix = "neon_tenants_scratch_"
	dropGrace     = 5 * time.Second // for dropping one after a cancel
)

// WithScratchDatabase creates a database on the server that can hold what one of that encoding holds, calls use with
// it, and drops it again, even if ctx has ended. The role needs the privilege to create databases. Errors are those of
// connecting, of the two statements, and of use.
func WithScratchDatabase(ctx context.Context, server Target, encoding string, use func(Target) error) (err error) {
	return withScratch(ctx, server, use, func(c *Conn) (string, error) { return c.emptyTemplate(ctx, encoding) })
}

// WithScratch is [WithScratchDatabase] over a connection to the server that serves for one after the other.
func (c *Conn) WithScratch(ctx context.Context, encoding string, use func(Target) error) error {
	like, err := c.emptyTemplate(ctx, encoding)
	if err != nil {
		return &scratchError{err}
	}
	return c.withScratch(ctx, like, use)
}

func (c *Conn) emptyTemplate(ctx context.Context, encoding string) (string, error) {
	clause, err := c.scratchEncoding(ctx, encoding)
	return "template0" + clause, err
}

// WithScratchLike is [WithScratchDatabase] for a database with the encoding and locale of [Conn.LocaleClause]. It
// makes no connection of its own, so it is for a session that is in no transaction.
func (c *Conn) WithScratchLike(ctx context.Context, locale string, use func(Target) error) error {
	return c.withScratch(ctx, "template0 "+locale, use)
}

// LocaleClause is what CREATE DATABASE has to say for a database of the same encoding, locale and locale provider.
func (c *Conn) LocaleClause(ctx context.Context) (string, error) {
	answers, err := c.Results(ctx, `select pg_catalog.format('encoding %L lc_collate %L lc_ctype %L',
			pg_catalog.pg_encoding_to_char(d.encoding), d.datcollate, d.datctype) ||
		case v ->> 'datlocprovider' when 'c' then ' locale_provider libc'
			when 'i' then pg_catalog.format(' locale_provider icu icu_locale %L', coalesce(v ->> 'datlocale',
				v ->> 'daticulocale')) || coalesce(' icu_rules ' || pg_catalog.quote_literal(v ->> 'daticurules'), '')
			when 'b' then pg_catalog.format(' locale_provider builtin builtin_locale %L', v ->> 'datlocale')
			else '' end
		from pg_catalog.pg_database d, lateral pg_catalog.to_jsonb(d) v
		where d.datname = pg_catalog.current_database()`)
	if err != nil {
		return "", fmt.Errorf("read the database's locale: %w", err)
	}
	return string(answers[0][0][0]), nil
}

// WithCopy is [WithScratchDatabase] for a copy of a database with all it holds. While the server copies, nobody can
// connect to the database. It refuses one to which others are connected, or whose role may not copy it: [CopyRefused].
func WithCopy(ctx context.Context, source Target, use func(Target) error) (err error) {
	return withScratch(ctx, source, use, func(*Conn) (string, error) {
		return sqltext.QuoteIdentifier(source.Database()), nil
	})
}

// CopyRefused reports whether a database cannot be copied because others use it, or for want of a privilege.
func CopyRefused(err error) bool {
	var refused *scratchError
	return errors.As(err, &refused) && (HasCode(err, "55006") || HasCode(err, "42501"))
}

// NoScratch reports whether a throwaway database could not be created.
func NoScratch(err error) bool { return errors.As(err, new(*scratchError)) }

// scratchError is the error of a throwaway database that was not created.
type scratchError struct{ err error }

func (e *scratchError) Error() string { return fmt.Sprintf("create a throwaway database: %v", e.err) }
func (e *scratchError) Unwrap() error { return e.err }

func withScratch(
	ctx context.Context, server Target, use func(Target) error, template func(*Conn) (string, error),
) error {
	c, err := Connect(ctx, server, Options{})
	if err != nil {
		return err
	}
	defer c.Close()
	like, err := template(c)
	if err != nil {
		return &scratchError{err}
	}
	return c.withScratch(ctx, like, use)
}

func (c *Conn) withScratch(ctx context.Context, template string, use func(Target) error) (err error) {
	now, stale, err := c.staleScratches(ctx)
	if err != nil {
		return &scratchError{err}
	}
	c.dropStale(ctx, stale)
	name := scratchPrefix + now + "_" + strings.ToLower(rand.Text()[:16])
	_, err = c.Exec(ctx, "create database "+sqltext.QuoteIdentifier(name)+" template "+template)
	if HasCode(err, "42501") {
		err = &privilegeError{err}
	}
	if err != nil {
		return &scratchError{err}
	}
	defer func() {
		late, cancel := grace.Context(ctx, dropGrace)
		defer cancel()
		err = errors.Join(err, c.dropScratch(late, name))
	}()
	scratch, err := c.target.At(name)
	if err != nil {
		return fmt.Errorf("create a throwaway database: %w", err)
	}
	return use(scratch)
}

// scratchEncoding is the clause of CREATE DATABASE for data in that encoding. UTF-8 takes the characters of all others,
// in the server's own locale; SQL_ASCII may hold any bytes, which only SQL_ASCII takes. The locale C fits every
// encoding.
func (c *Conn) scratchEncoding(ctx context.Context, encoding string) (string, error) {
	answers, err := c.Results(ctx, `select pg_catalog.pg_encoding_to_char(encoding) from pg_catalog.pg_database
		where datname = 'template0'`)
	if err != nil {
		return "", err
	}
	own := string(answers[0][0][0])
	if encoding == "" || own == encoding || own == "UTF8" && encoding != "SQL_ASCII" {
		return "", nil
	}
	clause := " encoding " + sqltext.QuoteLiteral(encoding) + " lc_collate 'C' lc_ctype 'C'"
	if c.ServerMajor() >= 15 { // whose template may have ICU's locales, which not every encoding can be used with
		clause += " locale_provider libc"
	}
	return clause, nil
}

// dropScratch drops it over the connection that made it, since the server may have room for no other. If that has ended
// meanwhile, it opens one of its own.
func (c *Conn) dropScratch(ctx context.Context, name string) error {
	err := c.dropOver(ctx, name)
	if err != nil && c.Closed() {
		var other *Conn
		if other, err = Connect(ctx, c.target, Options{}); err == nil {
			defer other.Close()
			err = other.dropOver(ctx, name)
		}
	}
	if err != nil {
		return fmt.Errorf("drop the throwaway database %s: %w", name, err)
	}
	return nil
}

func (c *Conn) dropOver(ctx context.Context, name string) error {
	drop := "drop database if exists " + sqltext.QuoteIdentifier(name)
	_, err := c.Exec(ctx, drop+" with (force)")
	if HasCode(err, "55006") && forgetSubscriptions(ctx, c.target, name) == nil {
		_, err = c.Exec(ctx, drop+" with (force)")
	}
	if HasCode(err, "42501") {
		// An autovacuum worker is there, which FORCE ends for superusers only. Without FORCE the server ends it itself, and
		// waits for all others to leave.
		_, err = c.Exec(ctx, drop)
	}
	return err
}

// forgetSubscriptions drops the subscriptions that came with a dump. A database cannot be dropped while it has
// subscriptions. They were never connected to their publishers, and the slots there are those of the database that was
// dumped.
func forgetSubscriptions(ctx context.Context, server Target, name string) error {
	scratch, err := server.At(name)
	if err != nil {
		return err
	}
	c, err := Connect(ctx, scratch, Options{})
	if err != nil {
		return err
	}
	defer c.Close()
	_, err = c.Exec(ctx, `do $forget$ declare name text; begin
		for name in select pg_catalog.quote_ident(subname) from pg_catalog.pg_subscription s
			join pg_catalog.pg_database d on d.oid = s.subdbid and d.datname = pg_catalog.current_database()
		loop
			execute 'alter subscription ' || name || ' set (slot_name = none)';
			execute 'drop subscription ' || name;
		end loop;
	end $forget$`)
	return err
}
