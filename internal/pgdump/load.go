package pgdump

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/org/neon-tenants-action/internal/postgres"
	"github.com/org/neon-tenants-action/internal/sqltext"
)

// load runs a dump's SQL in one transaction that nothing in the dump can end: statements are sent one by one, in a
// protocol that takes only one in a message, and those that control transactions are not sent. Before the commit, the
// server has to confirm that the transaction is still the one that load began.
type load struct {
	conn   *postgres.Conn
	task   string // for errors
	script *script

	id      string   // the transaction's
	pending []string // statements that have not been sent
	size    int      // of those, in bytes
	paired  bool     // within a BEGIN … COMMIT of the dump's own
	locks   lockRoom // for errors
	emptied bool     // what the target held was dropped
	schemas bool     // the target has schemas of its own, which the dump may create as well
	intake  intake   // the rows that the server took
}

const (
	// batchStatements and batchSize bound what is sent at once, so that a dump of many small objects does not take a
	// round trip for each.
	batchStatements = 200
	batchSize       = 256 << 10 // bytes
)

// beginSQL also makes the server check every 2 s whether the client is still there, see [vanishedClient].
const beginSQL = `set client_connection_check_interval = '2s'; begin read write; ` + transactionSQL

const transactionSQL = `select pg_catalog.pg_current_xact_id()`

// begin begins the transaction.
func (l *load) begin(ctx context.Context) error {
	answers, err := l.conn.Results(ctx, beginSQL)
	if err != nil {
		return l.failure("begin", err)
	}
	l.id = string(answers[2][0][0])
	l.script.lexer = l.lexer()
	return nil
}

// lexer reads SQL as the session currently does.
func (l *load) lexer() sqltext.Lexer {
	return sqltext.Lexer{Backslashes: l.conn.Parameter("standard_conforming_strings") == "off"}
}

// run runs everything that the script holds.
func (l *load) run(ctx context.Context) error {
	for {
		sql, err := l.script.next()
		if err == io.EOF { //nolint:errorlint // the script's own
			break
		}
		if err != nil {
			return err
		}
		if err := l.take(ctx, sql); err != nil {
			return err
		}
	}
	if l.paired {
		return &BackupError{Problem: "it begins a transaction of its own and does not end it"}
	}
	return l.flush(ctx)
}

func (l *load) take(ctx context.Context, sql string) error {
	switch role := roleOf(sql, l.script.lexer); {
	case role == copies:
		return l.copy(ctx, sql)
	case role == opens && !l.paired, role == closes && l.paired:
		l.paired = !l.paired // the whole dump is one transaction already
		return nil
	case role == foreign:
		return &BackupError{Problem: fmt.Sprintf("it holds a COPY in a form that pg_dump does not write (%s)",
			label(sql, l.script.lexer))}
	case role != ordinary:
		return &BackupError{Problem: fmt.Sprintf("it holds the statement %q, and no statement of a backup may begin, "+
			"end or divide the transaction that restores it", label(sql, l.script.lexer))}
	case strings.IndexByte(sql, 0) >= 0: // the server would read it as the end
		return &BackupError{Problem: "it holds a statement with a zero byte"}
	}
	why, err := l.leftOut(ctx, sql)
	if err != nil {
		return err
	}
	if why != "" {
		l.conn.Log().Info("left out of the restore: "+why, "statement", printable(label(sql, l.script.lexer)))
		return nil
	}
	l.pending = append(l.pending, sql)
	if l.size += len(sql); l.size >= batchSize || len(l.pending) >= batchStatements || l.setsLexer(sql) {
		return l.flush(ctx)
	}
	return nil
}

// setsLexer reports whether a statement may change how the next ones have to be read.
func (l *load) setsLexer(sql string) bool {
	first := tokens(sql, l.script.lexer, 4)
	return (first[0] == "set" || first[0] == "reset") &&
		(slices.Contains(first, "standard_conforming_strings") || slices.Contains(first, "all"))
}

// flush sends the pending statements.
func (l *load) flush(ctx context.Context) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	if len(l.pending) == 0 {
		return nil
	}
	tags, err := l.conn.Batch(ctx, l.pending)
	last := l.pending[min(len(tags), len(l.pending)-1)]
	if err != nil {
		return l.failure(label(last, l.script.lexer), err)
	}
	for i, tag := range tags {
		l.intake.inserted(l.pending[i], tag, l.script.lexer)
	}
	clear(l.pending)
	l.pending, l.size = l.pending[:0], 0
	return l.check(last)
}

// check makes sure that the session is still in the transaction after a statement, and that the script is still read as
// the server reads it.
func (l *load) check(last string) error {
	if !l.conn.InTransaction() {
		return l.errEnded()
	}
	if lexer := l.lexer(); lexer != l.script.lexer {
		if !l.setsLexer(last) {
			return &BackupError{Problem: "it changes standard_conforming_strings in a way that pg_dump does not"}
		}
		l.script.lexer = lexer
	}
	if encoding := l.conn.Parameter("client_encoding"); slices.Contains(clientEncodings, encoding) {
		return &BackupError{Problem: fmt.Sprintf("it is in the encoding %s, in which a part of a character can look "+
			"like a backslash", encoding)}
	}
	return nil
}

// clientEncodings are the encodings that a client may use and a database may not, because the second byte of a
// character can be one of ASCII's.
var clientEncodings = []string{"BIG5", "GB18030", "GBK", "JOHAB", "SHIFT_JIS_2004", "SJIS", "UHC"}

func (l *load) errEnded() error {
	return &BackupError{Problem: "something in it has ended the transaction that was to restore it"}
}

// copy runs a COPY statement with its data.
func (l *load) copy(ctx context.Context, sql string) error {
	if err := l.flush(ctx); err != nil {
		return err
	}
	data, err := l.script.data()
	if err != nil {
		return err
	}
	rows, err := l.conn.CopyFrom(ctx, sql, data)
	data.stop() // whatever failed, nobody else reads the script now
	if failed := data.failed(); failed != nil {
		return failed
	}
	if err != nil {
		return l.failure(strings.TrimSuffix(label(sql, l.script.lexer), " from stdin"), err)
	}
	l.intake.add(filledTable(sql, l.script.lexer), rows)
	return l.check(sql)
}

func (l *load) failure(statement string, err error) error {
	return &RestoreError{Task: l.task, Statement: statement, Err: err, locks: l.locks, emptied: l.emptied}
}
