package catalog

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/org/neon-tenants-action/internal/postgres"
	"github.com/org/neon-tenants-action/internal/records"
	"github.com/org/neon-tenants-action/internal/remedies"
)

// rememberedAtOnce bounds the memory of an answer about tenants.
const rememberedAtOnce = 10_000

// answerLimit is how long one such answer may take, some megabytes.
const answerLimit = time.Minute

var errNoAnswer = fmt.Errorf("it did not answer within %s", answerLimit)

// Remember adds to a book what the catalog has recorded about tenants, by their ids. It reads in a read-only session,
// and finds nothing in a catalog that has no such tables yet. wait is how long connecting may take, and waiting for a
// lock on a table.
func Remember(
	ctx context.Context, t postgres.Target, o postgres.Options, wait time.Duration, tenants []Entry,
	book *records.Book,
) error {
	o.ReadOnly, o.LockTimeout = true, wait
	dial, cancel := context.WithTimeoutCause(ctx, wait, fmt.Errorf("it did not answer within %s", wait))
	defer cancel()
	conn, err := connect(dial, t, o)
	if err != nil {
		return err
	}
	defer conn.Close()
	wanted := map[string]bool{} // digests of sets
	for from := 0; from < len(tenants) && err == nil; from += rememberedAtOnce {
		err = readRecords(ctx, conn, tenants[from:min(from+rememberedAtOnce, len(tenants))], book, wanted)
	}
	if err == nil && len(wanted) > 0 {
		err = readSets(ctx, conn, book, wanted)
	}
	if postgres.HasCode(err, "42P01") || postgres.HasCode(err, "42703") { // no run has recorded anything
		return nil
	}
	return remedies.Explain(err)
}

// readRecords reads the records of some tenants, and adds to wanted the digests of the sets to which they refer.
func readRecords(
	ctx context.Context, conn *postgres.Conn, tenants []Entry, book *records.Book, wanted map[string]bool,
) error {
	ids := make(map[string]string, len(tenants)) // of the tenants, by identity
	identities := make([]string, len(tenants))
	for i, e := range tenants {
		kind, id := e.identity()
		identities[i] = kind + id
		ids[identities[i]] = e.ID
	}
	list, err := json.Marshal(identities)
	if err != nil {
		return fmt.Errorf("read the records of tenants: %w", err)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, answerLimit, errNoAnswer)
	defer cancel()
	rows, err := conn.Query(ctx, `
select identity, record, (extract(epoch from record_noted_at) * 1000000)::bigint
from public.project
where record is not null and dropped_at is null
	and identity in (select jsonb_array_elements_text($1::jsonb))`, string(list))
	if err != nil {
		return fmt.Errorf("read the records of tenants: %w", cmp.Or(context.Cause(ctx), err))
	}
	for _, row := range rows.Values {
		var r records.Record
		if json.Unmarshal(row[1], &r) != nil { // somebody has edited it, or a later version wrote it
			continue
		}
		noted, err := postgres.ParseMicros(row[2])
		if err != nil {
			return err
		}
		book.Note(ids[string(row[0])], r, noted)
		if r.Applied != "" && book.Set(r.Applied) == nil {
			wanted[r.Applied] = true
		}
	}
	return nil
}

// readSets reads sets of files.
func readSets(ctx context.Context, conn *postgres.Conn, book *records.Book, wanted map[string]bool) error {
	var digests []string
	for digest := range wanted {
		digests = append(digests, digest)
	}
	list, err := json.Marshal(digests)
	if err != nil {
		return fmt.Errorf("read the migration files of records: %w", err)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, answerLimit, errNoAnswer)
	defer cancel()
	rows, err := conn.Query(ctx, `
select digest, files from public.migration_set
where digest in (select jsonb_array_elements_text($1::jsonb))`, string(list))
	if err != nil {
		return fmt.Errorf("read the migration files of records: %w", cmp.Or(context.Cause(ctx), err))
	}
	sets := records.Sets{}
	for _, row := range rows.Values {
		var set records.Set
		if json.Unmarshal(row[1], &set) == nil {
			sets[string(row[0])] = set
		}
	}
	book.NoteSets(sets)
	return nil
}
