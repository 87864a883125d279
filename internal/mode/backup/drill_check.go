package backup

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/org/neon-tenants-action/internal/input"
	"github.com/org/neon-tenants-action/internal/postgres"
	"github.com/org/neon-tenants-action/internal/sqltext"
)

// checkTimeout is how long the query of check-sql may take.
const checkTimeout = 5 * time.Minute

// queries are the words with which a statement begins that returns rows and, in a read-only transaction, does nothing
// else. DO and CALL run code of their own.
var queries = []string{"select", "with", "values", "table"}

// readCheckSQL reads the query of check-sql; empty if there is none.
func readCheckSQL(in *input.Reader) string {
	query := in.String("check-sql")
	if query == "" {
		return ""
	}
	var first []string
	statements := sqltext.Statements(query)
	if len(statements) == 1 {
		first = sqltext.Leading(query, statements[0], 1)
	}
	if len(first) == 0 || !slices.Contains(queries, first[0]) {
		in.Mistake("check-sql", "has to be one query that begins with select, with, values or table and returns a single "+
			"true; write for example select count(*) > 0 from orders")
	}
	return query
}

// CheckError is the error of a restored backup about which check-sql does not say true.
type CheckError struct{ problem string }

func (e *CheckError) Error() string { return "check-sql " + e.problem }

// check runs a query that has to return a single true, in a read-only transaction that is rolled back. A policy that
// would keep rows from it is an error. What it returns instead, and what its functions say, is somebody's data, and is
// not printed.
func check(ctx context.Context, c *postgres.Conn, schema, query string) error {
	log := c.Log()
	c.SetLog(slog.New(slog.DiscardHandler))
	defer c.SetLog(log)
	begin := "begin transaction read only; set local row_security = off"
	if schema != "" {
		begin += "; set local search_path = " + sqltext.QuoteIdentifier(schema) + ", public"
	}
	if _, err := c.Exec(ctx, begin); err != nil {
		return fmt.Errorf("begin a transaction for check-sql: %w", err)
	}
	timed, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	rows, more, err := c.QueryUpTo(timed, 1, query)
	if err == nil {
		err = judgeAnswer(rows, more)
	} else if timed.Err() != nil && ctx.Err() == nil {
		err = &CheckError{"took longer than 5 minutes"}
	} else {
		err = checkFailure(err)
	}
	if _, left := c.Exec(ctx, "rollback"); left != nil && err == nil {
		return fmt.Errorf("roll back check-sql: %w", left)
	}
	return err
}

// judgeAnswer decides what the rows say that check-sql returned, of which there are more.
func judgeAnswer(rows postgres.Rows, more bool) error {
	switch {
	case more:
		return &CheckError{"returned more than one row, and has to return a single true"}
	case len(rows.Values) == 0:
		return &CheckError{"returned no row, and has to return a single true"}
	case len(rows.Values[0]) != 1:
		return &CheckError{fmt.Sprintf("returned %d columns, and has to return a single true", len(rows.Values[0]))}
	}
	switch value := rows.Values[0][0]; {
	case value == nil:
		return &CheckError{"returned null, and has to return true"}
	case string(value) == "t":
		return nil
	case string(value) == "f":
		return &CheckError{"returned false"}
	}
	return &CheckError{"returned a value that is not a boolean, and has to return true"}
}

// checkFailure says why the server did not answer check-sql. An error without a SQLSTATE, or that ended the session, is
// no answer.
func checkFailure(err error) error {
	var pg *pgconn.PgError
	if !errors.As(err, &pg) || pg.SeverityUnlocalized != "ERROR" {
		return fmt.Errorf("run check-sql: %w", err)
	}
	if text, ok := withoutData(pg); ok {
		return &CheckError{fmt.Sprintf("failed: %s (SQLSTATE %s)", text, pg.Code)}
	}
	return &CheckError{fmt.Sprintf("failed with SQLSTATE %s, %s; the server's message is not shown, because it may "+
		"quote data", pg.Code, conditionOf(pg.Code))}
}

// withoutData returns the server's message if it can hold nothing that a table does: it is about the text of the query,
// about a privilege or the transaction, or about the session. What comes out of a function may be anything, and so may
// a name that is looked up only at run time, as by a cast to regclass.
func withoutData(pg *pgconn.PgError) (text string, ok bool) {
	switch class := classOf(pg.Code); {
	case pg.Where != "":
		return "", false
	case class == "42" && (pg.Position > 0 || pg.Code == "42501"), class == "25", class == "57":
		return pg.Message, true
	}
	return "", false
}

// conditions are the classes of SQLSTATE that a query may meet.
var conditions = map[string]string{
	"0A": "a feature that is not supported", "21": "a cardinality violation", "22": "a data exception",
	"23": "a broken constraint", "25": "an invalid transaction state", "28": "an invalid authorization",
	"2F": "a routine's exception", "38": "an external routine's exception", "39": "an external routine's exception",
	"3D": "a database that does not exist", "3F": "a schema that does not exist", "40": "a rollback of the transaction",
	"42": "a syntax error or a rule of access", "53": "a lack of resources",
	"54": "a limit of the server's", "55": "an object in the wrong state", "57": "an operator's intervention",
	"58": "an error of the system", "F0": "an error in a configuration file", "P0": "an error that a function raised",
	"XX": "an internal error",
}

// conditionOf names the class of a SQLSTATE.
func conditionOf(code string) string {
	return cmp.Or(conditions[classOf(code)], "an error of another class")
}

func classOf(code string) string { return code[:min(2, len(code))] }
