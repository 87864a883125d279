package pgdump

import (
	"context"
	"slices"
	"time"

	"github.com/org/neon-tenants-action/internal/grace"
	"github.com/org/neon-tenants-action/internal/postgres"
)

const (
	// outcomeWait is how long the server is asked what became of a commit whose answer was lost, outcomeGrace how long
	// after a cancel, and outcomePause how long to wait between two questions while the commit is in progress.
	outcomeWait  = 15 * time.Second
	outcomeGrace = 1500 * time.Millisecond
	outcomePause = 200 * time.Millisecond
)

// commit is the only place that makes a restore permanent.
func (l *load) commit(ctx context.Context, t postgres.Target) error {
	answers, err := l.conn.Results(ctx, transactionSQL)
	switch {
	case err != nil:
		return l.failure("commit", err)
	case string(answers[0][0][0]) != l.id || !l.conn.InTransaction():
		return l.errEnded()
	}
	tags, err := l.conn.Exec(ctx, "commit")
	switch {
	case slices.Equal(tags, []string{"COMMIT"}):
		return nil // even if the connection broke after that
	case err == nil:
		return l.errEnded()
	case !l.conn.Closed():
		return l.failure("commit", err) // a deferred constraint, for example
	}
	switch l.outcome(ctx, t) {
	case "committed":
		return nil
	case "aborted":
		return l.failure("commit", err)
	}
	return &RestoreError{Task: l.task, Statement: "commit", Err: err, unknown: true}
}

// outcome asks the server what became of the transaction: committed, aborted, in progress, or empty if it does not say.
func (l *load) outcome(ctx context.Context, t postgres.Target) (status string) {
	late, cancelGrace := grace.Context(ctx, outcomeGrace)
	defer cancelGrace()
	late, cancel := context.WithTimeout(late, outcomeWait)
	defer cancel()
	for {
		var err error
		if status, err = l.ask(late, t); err != nil || status != "in progress" {
			return status
		}
		select {
		case <-late.Done():
			return status
		case <-time.After(outcomePause):
		}
	}
}

func (l *load) ask(ctx context.Context, t postgres.Target) (status string, err error) {
	conn, err := postgres.Connect(ctx, t, postgres.Options{ReadOnly: true, Log: l.conn.Log()})
	if err != nil {
		return "", err
	}
	defer conn.Close()
	rows, err := conn.Query(ctx, `select pg_catalog.pg_xact_status($1::xid8)`, l.id)
	if err != nil {
		return "", err
	}
	return string(rows.Values[0][0]), nil
}
