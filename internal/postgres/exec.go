package postgres

import (
	"bytes"
	"context"
	"errors"
	"math"

	"github.com/jackc/pgx/v5/pgconn"
)

// Results sends SQL, one statement or several, as one message of the simple protocol (one round trip). It returns the
// rows of every statement that completed, as text (NULL is nil); after an error, those before the failed one, after
// which the server runs none.
func (c *Conn) Results(ctx context.Context, sql string) ([][][][]byte, error) {
	answers, _, err := c.SomeResults(ctx, sql, func(int) bool { return true })
	return answers, err
}

// SomeResults is [Conn.Results] that keeps the rows of some statements only, by their index, and returns the command
// tags of all. The others have no rows.
func (c *Conn) SomeResults(
	ctx context.Context, sql string, keep func(statement int) bool,
) (answers [][][][]byte, tags []string, err error) {
	tags, err = c.each(ctx, sql, func(r *pgconn.ResultReader) error {
		if !keep(len(answers)) {
			_, err := r.Close()
			if err == nil {
				answers = append(answers, nil)
			}
			return err
		}
		answer := r.Read()
		if answer.Err == nil {
			answers = append(answers, answer.Rows)
		}
		return answer.Err
	})
	return answers, tags, err
}

// EachRow is [Conn.Results] that hands over each row when it arrives, with its statement's index. The values are valid
// until row returns. Its error ends the reading, and is EachRow's.
func (c *Conn) EachRow(ctx context.Context, sql string, row func(statement int, values [][]byte) error) error {
	statement := -1
	var failed error
	_, err := c.each(ctx, sql, func(r *pgconn.ResultReader) error {
		statement++
		for failed == nil && r.NextRow() {
			failed = row(statement, r.Values())
		}
		return failed
	})
	if failed != nil {
		return errors.Join(failed, err)
	}
	return err
}

// Exec is [Conn.Results] for SQL whose rows do not matter: it discards any number of them. It returns the command tags
// of the statements that completed.
func (c *Conn) Exec(ctx context.Context, sql string) (tags []string, err error) {
	return c.each(ctx, sql, func(*pgconn.ResultReader) error { return nil })
}

func (c *Conn) each(ctx context.Context, sql string, read func(*pgconn.ResultReader) error) (tags []string, err error) {
	if err := c.set(ctx); err != nil {
		return nil, err
	}
	return c.send(ctx, sql, read)
}

// send is each for a message that makes the settings that are due, or does without them.
func (c *Conn) send(ctx context.Context, sql string, read func(*pgconn.ResultReader) error) (tags []string, err error) {
	reader := c.pg.Exec(ctx, sql)
	for reader.NextResult() {
		r := reader.ResultReader()
		if err := read(r); err != nil {
			break
		}
		tag, err := r.Close()
		if err != nil {
			break // Close below returns it
		}
		tags = append(tags, tag.String())
	}
	return tags, reader.Close()
}

// Rows is a query's whole result, as text. A nil value is NULL.
type Rows struct {
	Columns []string
	Values  [][][]byte
}

// Query runs a single statement with parameters ($1, …), which are sent as text. The server refuses several statements.
func (c *Conn) Query(ctx context.Context, sql string, parameters ...string) (Rows, error) {
	rows, _, err := c.QueryUpTo(ctx, math.MaxInt, sql, parameters...)
	return rows, err
}

// QueryUpTo is [Conn.Query] that returns so many rows at most. Once there are more, it stops the statement, which is no
// error, and leaves a transaction failed or the connection closed.
func (c *Conn) QueryUpTo(
	ctx context.Context, limit int, sql string, parameters ...string,
) (rows Rows, more bool, err error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	values := make([][]byte, len(parameters))
	for i, p := range parameters {
		values[i] = []byte(p)
	}
	if err := c.set(ctx); err != nil {
		return Rows{}, false, err
	}
	reader := c.pg.ExecParams(ctx, sql, values, nil, nil, nil)
	for reader.NextRow() {
		if more = len(rows.Values) == limit; more {
			break
		}
		row := make([][]byte, len(reader.Values()))
		for i, v := range reader.Values() {
			row[i] = bytes.Clone(v) // the reader reuses its buffer for the next row
		}
		rows.Values = append(rows.Values, row)
	}
	for _, f := range reader.FieldDescriptions() { // known even if there are no rows
		rows.Columns = append(rows.Columns, f.Name)
	}
	if more {
		stop()
		_, _ = reader.Close() // most likely says that the statement was cancelled
		return rows, true, nil
	}
	if _, err := reader.Close(); err != nil {
		return Rows{}, false, err
	}
	return rows, false, nil
}
