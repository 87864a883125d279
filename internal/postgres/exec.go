package postgres

import (
	"context"

	"github.com/jackc/pgx/v5/pgconn"
)

// Results sends SQL, one statement or several, as one simple-protocol message (one round trip) and returns the rows of
// every statement that completed, as text (nil is NULL), also where a later one failed; the server then ran none after it.
func (c *Conn) Results(ctx context.Context, sql string) ([][][][]byte, error) {
	var answers [][][][]byte
	_, err := c.each(ctx, sql, func(r *pgconn.ResultReader) error {
		answer := r.Read()
		if answer.Err == nil {
			answers = append(answers, answer.Rows)
		}
		return answer.Err
	})
	return answers, err
}

// Exec is [Conn.Results] for SQL whose rows nobody reads, however many there are. It returns the command tags of the statements that
// completed.
func (c *Conn) Exec(ctx context.Context, sql string) (tags []string, err error) {
	return c.each(ctx, sql, func(*pgconn.ResultReader) error { return nil })
}

func (c *Conn) each(ctx context.Context, sql string, read func(*pgconn.ResultReader) error) (tags []string, err error) {
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

// Closed reports whether the connection is unusable.
func (c *Conn) Closed() bool { return c.pg.IsClosed() }
