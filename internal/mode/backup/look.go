package backup

import (
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	"github.com/org/neon-tenants-action/internal/backups"
	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/mode"
	"github.com/org/neon-tenants-action/internal/postgres"
)

// lookSQL reads the server's transactions, of all databases. The time is that of the statement, which comes before its
// snapshot: a transaction that the snapshot does not show as completed ends later than that. Whoever has a transaction
// id holds a lock on it, and everybody may see that.
const lookSQL = `select (extract(epoch from statement_timestamp()) * 1000000)::bigint,
	pg_catalog.pg_snapshot_xmax(pg_catalog.pg_current_snapshot()),
	exists (select from pg_catalog.pg_locks where locktype = 'transactionid')`

// look takes a look at the transactions of a tenant's server. It assigns no transaction id itself.
func look(ctx context.Context, conn *postgres.Conn) (backups.Look, error) {
	rows, err := conn.Query(ctx, lookSQL)
	if err != nil {
		return backups.Look{}, fmt.Errorf("look at the server's transactions: %w", err)
	}
	row := rows.Values[0]
	at, err := strconv.ParseInt(string(row[0]), 10, 64)
	if err != nil {
		return backups.Look{}, fmt.Errorf("look at the server's transactions: %w", err)
	}
	return backups.Look{
		Quiet: backups.Quiet{Until: time.UnixMicro(at).UTC(), Next: string(row[1])}, Open: string(row[2]) == "t",
	}, nil
}

// lookAgain connects to the tenant for one look, and leaves it at that.
func (b *Job) lookAgain(
	ctx context.Context, t fleet.Tenant, target postgres.Target, log *slog.Logger,
) (backups.Look, error) {
	conn, err := mode.Dial(ctx, b.env, t, target, b.options, log)
	if err != nil {
		return backups.Look{}, err
	}
	defer conn.Close()
	return look(ctx, conn)
}

// quiet returns the proof that nothing was written while a tenant was dumped; nil if there is none. The backup is as
// good without. The connection of the first look serves the second, unless it was lost meanwhile.
func (b *Job) quiet(
	ctx context.Context, t fleet.Tenant, target postgres.Target, db database, log *slog.Logger,
) *backups.Quiet {
	if db.conn == nil || !b.looks || db.look.Open {
		return nil
	}
	after, err := look(ctx, db.conn)
	if err != nil {
		after, err = b.lookAgain(ctx, t, target, log)
	}
	if err != nil {
		log.Warn("whether anything was written during the dump is not known", "error", err)
		return nil
	}
	return backups.Proof(db.look, after)
}
