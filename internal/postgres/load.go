package postgres

import (
	"context"
	"io"

	"github.com/jackc/pgx/v5/pgconn"
)

// Batch runs statements in order with one round trip, each as a message of its own in the extended protocol: the server
// refuses a text that holds a second one. It discards rows. After an error the server runs none of the others; done is
// how many completed, so the failed one is statements[done], unless that error came with the end of the batch.
func (c *Conn) Batch(ctx context.Context, statements []string) (done int, err error) {
	p := c.pg.StartPipeline(ctx)
	for _, sql := range statements {
		p.SendQueryParams(sql, nil, nil, nil, nil)
	}
	if err := p.Sync(); err != nil {
		return 0, firstError(err, p.Close())
	}
	for range statements {
		if err = result(p); err != nil {
			break
		}
		done++
	}
	return done, firstError(err, p.Close())
}

// result reads and discards a statement's rows.
func result(p *pgconn.Pipeline) error {
	results, err := p.GetResults()
	if err != nil {
		return err
	}
	if rows, ok := results.(*pgconn.ResultReader); ok {
		_, err = rows.Close()
	}
	return err
}

func firstError(err, other error) error {
	if err != nil {
		return err
	}
	return other
}

// CopyFrom runs COPY … FROM STDIN with the data that r returns. If the server refuses it, r may still be read from when
// CopyFrom returns.
func (c *Conn) CopyFrom(ctx context.Context, sql string, r io.Reader) error {
	_, err := c.pg.CopyFrom(ctx, r, sql)
	return err
}

// InTransaction reports whether the session is in a transaction that has not failed.
func (c *Conn) InTransaction() bool { return c.pg.TxStatus() == 'T' }

// Parameter is the session's value of a setting that the server reports, such as standard_conforming_strings; empty for
// any other.
func (c *Conn) Parameter(name string) string { return c.pg.ParameterStatus(name) }
