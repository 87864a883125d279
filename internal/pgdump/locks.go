package pgdump

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/org/neon-tenants-action/internal/words"
)

// lockRoom is how many locks a server has room for. It is shared by all sessions, and not exact: what is free of the
// shared memory serves as well. A transaction that creates or drops a table holds a lock on it, its indexes and what
// stores its long values until it ends.
type lockRoom struct {
	room                 int // 0: not known
	locks, sessions, two int // max_locks_per_transaction, max_connections, max_prepared_transactions
}

// lockRoomSQL reads the settings that make it up, and how many relations would have to be dropped first.
const lockRoomSQL = `select pg_catalog.current_setting('max_locks_per_transaction'),
	pg_catalog.current_setting('max_connections'), pg_catalog.current_setting('max_prepared_transactions'),
	(select pg_catalog.count(*) from pg_catalog.pg_class where oid >= 16384)`

func (r lockRoom) String() string {
	return fmt.Sprintf("the server has room for about %d locks (max_locks_per_transaction = %d, times max_connections + "+
		"max_prepared_transactions = %d)", r.room, r.locks, r.sessions+r.two)
}

// readLockRoom returns it, and how many relations the database has.
func (l *load) readLockRoom(ctx context.Context) (room lockRoom, relations int, err error) {
	answers, err := l.conn.Results(ctx, lockRoomSQL)
	if err != nil {
		return room, 0, l.failure("look for room for locks", err)
	}
	var n [4]int
	for i, value := range answers[0][0] {
		if n[i], err = strconv.Atoi(string(value)); err != nil {
			return room, 0, l.failure("look for room for locks", err)
		}
	}
	return lockRoom{room: n[0] * (n[1] + n[2]), locks: n[0], sessions: n[1], two: n[2]}, n[3], nil
}

// warnOfLocks says before anything is touched that a restore may need more locks than the server has room for. It is no
// error, since both numbers are estimates.
func (r *restore) warnOfLocks(ctx context.Context, l *load) error {
	room, there, err := l.readLockRoom(ctx)
	if err != nil {
		return err
	}
	l.locks = room
	need := r.o.Relations
	if r.o.Overwrite {
		need += there
	}
	if need > room.room {
		r.o.Log.Warn("the restore is one transaction, and may fail for want of room for its locks", "needs at least",
			words.Count(need, "lock", "locks"), "room", room.String())
	}
	return nil
}

// lacksLocks tells the server's want of room for locks from its want of memory, which has the same code.
func lacksLocks(pg *pgconn.PgError) bool {
	return pg.Code == "53200" && strings.Contains(pg.Message+pg.Hint, "shared memory") ||
		strings.Contains(pg.Hint, "max_locks_per_transaction")
}

// createsRelation reports whether a line of a plain dump begins the definition of something that takes a lock of its
// own.
func createsRelation(line []byte) bool {
	text := string(line[:min(len(line), len("CREATE UNLOGGED TABLE "))])
	if constraint, ok := strings.CutPrefix(text, "    ADD CONSTRAINT "); ok {
		return constraint != "" && isKey(line)
	}
	for _, begin := range []string{"TABLE ", "UNLOGGED TABLE ", "INDEX ", "UNIQUE INDEX ", "SEQUENCE ", "VIEW ",
		"MATERIALIZED VIEW "} {
		if strings.HasPrefix(text, "CREATE "+begin) {
			return true
		}
	}
	return false
}

// isKey reports whether the constraint of a line has an index.
func isKey(line []byte) bool {
	text := string(line)
	return strings.Contains(text, " PRIMARY KEY (") || strings.Contains(text, " UNIQUE (") ||
		strings.Contains(text, " EXCLUDE USING ")
}
