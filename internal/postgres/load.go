package postgres

import (
	"cmp"
	"context"
	"io"

	"github.com/jackc/pgx/v5/pgconn"
)

// Batch runs statements in order with one round trip, each as a message of its own in the extended protocol: the server
// refuses a text that holds a second one. It discards rows, and returns the command tags of the statements that
// completed. After an error the server runs none of the others, so the failed one is statements[len(tags)], unless that
// error came before the batch, from settings that are due, or with its end.
func (c *Conn) Batch(ctx context.Context, statements []string) (tags []string, err error) {
	if err := c.set(ctx); err != nil {
		return nil, err
	}
	p := c.pg.StartPipeline(ctx)
	for _, sql := range statements {
		p.SendQueryParams(sql, nil, nil, nil, nil)
	}
	if err := p.Sync(); err != nil {
		return nil, cmp.Or(err, p.Close())
	}
	for range statements {
		var tag string
		if tag, err = result(p); err != nil {
			break
		}
		tags = append(tags, tag)
	}
	return tags, cmp.Or(err, p.Close())
}

// result reads a statement's rows, discards them, and returns its command tag.
func result(p *pgconn.Pipeline) (string, error) {
	results, err := p.GetResults()
	if err != nil {
		return "", err
	}
	rows, ok := results.(*pgconn.ResultReader)
	if !ok {
		return "", nil
	}
	tag, err := rows.Close()
	return tag.String(), err
}

// CopyFrom runs COPY … FROM STDIN with the data that r returns, and returns the number of rows that the server took.
// If the server refuses it, r may still be read from when CopyFrom returns.
func (c *Conn) CopyFrom(ctx context.Context, sql string, r io.Reader) (rows int64, err error) {
	if err := c.set(ctx); err != nil {
		return 0, err
	}
	tag, err := c.pg.CopyFrom(ctx, r, sql)
	return tag.RowsAffected(), err
}

// InTransaction reports whether the session is in a transaction that has not failed.
func (c *Conn) InTransaction() bool { return c.pg.TxStatus() == 'T' }

// Parameter is the session's value of a setting that the server reports, such as standard_conforming_strings; empty for
// any other.
func (c *Conn) Parameter(name string) string { return c.pg.ParameterStatus(name) }
