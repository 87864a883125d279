package postgres

import (
	"context"
	"fmt"
	"strconv"
)

// Written is how many rows a server has counted that were inserted, updated or deleted in a database.
type Written struct {
	Rows int64
	// Since is when the count began, as a text: when the server started, or when its statistics were reset.
	Since string
}

// ReadWritten asks how many rows were written in the connection's database. The server learns of a session's rows up
// to a second after they are committed.
func ReadWritten(ctx context.Context, c *Conn) (Written, error) {
	answers, err := c.Results(ctx, "select tup_inserted + tup_updated + tup_deleted, "+
		"pg_catalog.to_char(greatest(pg_catalog.pg_postmaster_start_time(), stats_reset) at time zone 'UTC', "+
		`'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') `+
		"from pg_catalog.pg_stat_database where datname = pg_catalog.current_database()")
	if err != nil {
		return Written{}, fmt.Errorf("ask how many rows were written: %w", err)
	}
	if len(answers[0]) == 0 {
		return Written{}, fmt.Errorf("ask how many rows were written: the server counts none")
	}
	row := answers[0][0]
	rows, err := strconv.ParseInt(string(row[0]), 10, 64)
	if err != nil {
		return Written{}, fmt.Errorf("ask how many rows were written: %w", err)
	}
	return Written{Rows: rows, Since: string(row[1])}, nil
}

// After returns how many rows were written between an earlier count and this one. It is not known if the server began
// to count anew in between.
func (w Written) After(earlier Written) (rows int64, known bool) {
	if w.Since == "" || w.Since != earlier.Since || w.Rows < earlier.Rows {
		return 0, false
	}
	return w.Rows - earlier.Rows, true
}
