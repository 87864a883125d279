package migration

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/org/neon-tenants-action/internal/postgres"
	"github.com/org/neon-tenants-action/internal/sqltext"
)

// applier applies one database's pending migrations: it turns dbmate's calls into messages to the server. A migration
// and the record of its version are one message and one transaction: one round trip, and no moment at which one of them
// is committed without the other. Those that say transaction:false are in outside.go.
type applier struct {
	ctx   context.Context // dbmate passes none on
	conn  *postgres.Conn
	table postgres.Recorder // of the recorded versions, with its schema
	setup []string          // statements that create what the first record needs

	aloneOnServer func(ctx context.Context, failed error) (bool, error) // [Options].Alone, never nil

	lockTimeout time.Duration // PostgreSQL's lock_timeout for the statements of migrations; 0: none
	schema      string        // where names without a schema lead; empty: where the session's search_path leads

	found    bool            // the table of recorded versions exists
	versions map[string]bool // the recorded ones
	pending  []migration     // in their order; the first is the current one

	inTransaction bool // between dbmate's begin and its commit

	watch    *watch // nil: files are not watched
	applied  []Applied
	warnings []string
	started  time.Time // when the current migration started
}

func newApplier(
	ctx context.Context, c *postgres.Conn, status postgres.Status, files *Files, pending []migration, o Options,
) *applier {
	a := &applier{
		ctx: ctx, conn: c, lockTimeout: o.StatementLockTimeout,
		table:  postgres.Recorder{Ledger: status.Table, Names: files.layout == folderPerMigration},
		schema: o.Schema, found: status.Found, versions: status.Versions, pending: pending, aloneOnServer: o.Alone,
	}
	if a.aloneOnServer == nil {
		a.aloneOnServer = func(context.Context, error) (bool, error) { return false, nil }
	}
	if !status.Found {
		if !status.SchemaExists {
			a.setup = append(a.setup, "create schema if not exists "+sqltext.QuoteIdentifier(status.Table.Schema))
		}
		a.setup = append(a.setup, a.table.Create()...)
	} else if a.table.Names {
		a.setup = a.upgrade(status, files)
	}
	return a
}

func (a *applier) begin() { a.inTransaction = true }

func (a *applier) rollback() error {
	a.inTransaction = false // nothing has been sent: commit sends everything
	return nil
}

// run receives a migration's SQL from dbmate. Inside a transaction, commit sends it; outside, it is sent at once.
func (a *applier) run(up string) error {
	if len(a.pending) == 0 || a.pending[0].up != up {
		return errors.New("internal error: dbmate runs a migration that was not expected")
	}
	a.started = time.Now()
	if a.inTransaction {
		return nil
	}
	return a.runOutside(a.pending[0])
}

// record records a version as applied: with the transaction, or at once if there is none.
func (a *applier) record(version string) error {
	if version != a.pending[0].version {
		return errors.New("internal error: dbmate records a migration that was not run")
	}
	if a.inTransaction {
		return nil
	}
	return a.recordOutside(a.pending[0])
}

// message is a migration's SQL as it is sent.
type message struct {
	prefix []string
	up     string
	suffix []string
}

func (m message) head() string {
	if len(m.prefix) == 0 {
		return ""
	}
	return strings.Join(m.prefix, "; ") + ";\n"
}

// sql joins the parts. The line break before the suffix ends a comment in which the migration may end.
func (m message) sql() string {
	return m.head() + m.up + "\n;" + strings.Join(m.suffix, "; ")
}

// commit sends the current migration with everything around it, and retries it if the server says that it had no
// effect.
func (a *applier) commit() error {
	a.inTransaction = false
	m := a.pending[0]
	var proofs []string
	for _, p := range a.proofs(m) {
		proofs = append(proofs, p.sql)
	}
	msg := message{
		prefix: slices.Concat([]string{"begin"}, a.settings(m), a.setup),
		up:     m.up,
		suffix: slices.Concat(proofs, []string{a.insert(m), a.kept(m).sql, "commit"}, a.cleanup()),
	}
	known := a.watch.known()
	for try := 1; ; try++ {
		tags, err := a.exec(m, msg)
		if err == nil {
			a.committed(m, tags[len(msg.prefix):len(tags)-len(msg.suffix)])
			return nil
		}
		if own, ok := msg.committed(tags); ok {
			a.committed(m, own)
			return a.afterCommit(m, msg.cleanup(), err)
		}
		tries := triesAfter(err)
		if try >= tries || m.endedBy(tags) != "" || a.conn.Closed() {
			return a.failure(err, msg, tags)
		}
		if _, err := a.conn.Exec(a.ctx, "rollback"); err != nil {
			return a.failure(err, msg, nil)
		}
		a.watch.restore(known)
		alone, err := a.await(m, try, tries, err)
		if err != nil {
			return a.failure(err, msg, tags)
		}
		if alone {
			try, a.started = 0, time.Now()
		}
	}
}

// committed notes that the current migration and its version are committed. tags are those of its own statements.
func (a *applier) committed(m migration, tags []string) {
	a.warnOfEnd(m, tags)
	a.setup = nil
	a.finish(m)
}

// exec sends a migration's message.
func (a *applier) exec(m migration, msg message) (tags []string, err error) {
	if a.watch != nil {
		return a.send(m, msg)
	}
	return a.conn.Exec(a.ctx, msg.sql())
}

// cleanup are the statements after a migration. After the last one of a schema they also release its lock and leave the
// connection as the next schema must find it.
func (a *applier) cleanup() []string {
	if a.schema != "" && len(a.pending) == 1 {
		return a.conn.ResetSession()
	}
	return a.conn.ResetSettings()
}

// settings are the statements before a migration: the schema that it works in, and how long its statements wait for
// table locks. They are not "set local", which would end with a COMMIT inside the migration. CONCURRENTLY gets no
// timeout: it blocks nobody while it waits for other sessions' transactions, and after a timeout its index would be
// invalid.
func (a *applier) settings(m migration) []string {
	timeout := a.lockTimeout
	if !m.transaction && slices.ContainsFunc(m.statements, statement.concurrent) {
		timeout = 0
	}
	all := []string{fmt.Sprintf("set lock_timeout = %d", timeout.Milliseconds())}
	if a.schema != "" {
		all = append(all, "set search_path = "+sqltext.QuoteIdentifier(a.schema))
	}
	return all
}

// proofs are statements that fail, by a division by zero, unless the migration may be recorded: the session still holds
// the lock, names without a schema have not come to mean another tenant's or everybody's, and no index that it wants is
// invalid. The search_path may be empty: files made by pg_dump leave it so.
func (a *applier) proofs(m migration) []proof {
	proofs := []proof{a.holdsLock()}
	if a.schema != "" && a.schema != postgres.PublicSchema {
		proofs = append(proofs, proof{fmt.Sprintf("select 1 / (pg_catalog.current_schemas(false) <@ array[%s]::name[])::int",
			sqltext.QuoteLiteral(a.schema)), errPathChanged})
	}
	if wanted := m.indexesIfMissing(); len(wanted) > 0 {
		proofs = append(proofs, proof{validIndexes(wanted), errIndexInvalid})
	}
	return proofs
}

// proof is a statement, and what is wrong with the migration if it fails.
type proof struct {
	sql string
	err error
}

func (a *applier) holdsLock() proof {
	return proof{"select 1 / (" + postgres.HoldsLock(a.table.Table) + ")::int", errLockReleasedInside}
}

func (a *applier) insert(m ...migration) string { return a.table.Insert(entriesOf(m)...) }

// kept is the proof that what was just recorded will be read again as it is.
func (a *applier) kept(m ...migration) proof {
	return proof{"select 1 / (" + a.table.Kept(entriesOf(m)...) + ")::int", errNotKept}
}

// finish moves the current migration from the pending ones to the applied ones.
func (a *applier) finish(m migration) {
	elapsed := time.Since(a.started)
	for _, one := range m.files() {
		a.conn.Log().Info("applied", "file", one.file, "took", elapsed)
		a.applied = append(a.applied, Applied{Version: one.version, File: one.file, Elapsed: elapsed})
	}
	a.pending = a.pending[1:]
}

// warnOfEnd warns of a migration that ended its own transaction. The check of the files refuses those that it
// recognizes, but how the server reads them depends on its settings. tags are those of the migration's statements.
func (a *applier) warnOfEnd(m migration, tags []string) {
	if tag := m.endedBy(tags); tag != "" {
		a.warnings = append(a.warnings, fmt.Sprintf("%s contains a %s of its own, so what came before it is not in "+
			"the transaction that recorded the file: look at the database, and take it out", m.path, tag))
	}
}

// endedBy returns the tag of a statement that ended the transaction it ran in, "" if there is none. ROLLBACK TO
// SAVEPOINT, which ends nothing, has the same tag as ROLLBACK.
func (m migration) endedBy(tags []string) string {
	harmless := 0
	for _, s := range m.statements {
		if s.rollsBackToSavepoint() {
			harmless++
		}
	}
	for _, tag := range tags {
		switch {
		case tag == "ROLLBACK" && harmless > 0:
			harmless--
		case slices.Contains([]string{"COMMIT", "ROLLBACK", "PREPARE TRANSACTION"}, tag):
			return tag
		}
	}
	return ""
}
