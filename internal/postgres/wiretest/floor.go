package wiretest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
)

// FloorFile is a migration as [Floor] needs it.
type FloorFile struct{ Version, Up string }

// FloorFiles reads a directory of dbmate files, in the order of their names.
func FloorFiles(dir string) ([]FloorFile, error) {
	names, err := filepath.Glob(filepath.Join(dir, "*.sql"))
	if err != nil {
		return nil, fmt.Errorf("list migrations: %w", err)
	}
	slices.Sort(names)
	var files []FloorFile
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("read migrations: %w", err)
		}
		version, _, _ := strings.Cut(filepath.Base(name), "_")
		up, _, _ := strings.Cut(string(text), "-- migrate:down")
		files = append(files, FloorFile{version, up})
	}
	return files, nil
}

// Floor migrates one database with the fewest messages that are safe for two concurrent runs: one connection, one
// message for the lock and the versions, and one for each migration, with the record of its version in the same
// transaction. No client can do with fewer. It returns how many migrations it applied.
func Floor(ctx context.Context, url string, files []FloorFile) (applied int, err error) {
	conn, err := pgconn.Connect(ctx, url)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, conn.Close(ctx)) }()
	answers, err := conn.Exec(ctx, "select pg_try_advisory_lock(1); select version from schema_migrations").ReadAll()
	var missing *pgconn.PgError
	if err != nil && (!errors.As(err, &missing) || missing.Code != "42P01") {
		return 0, err
	}
	if len(answers) == 0 || string(answers[0].Rows[0][0]) != "t" {
		return 0, errors.New("another run holds the lock")
	}
	create := "create table schema_migrations (version varchar primary key);"
	done := map[string]bool{}
	if missing == nil {
		create = ""
		for _, row := range answers[1].Rows {
			done[string(row[0])] = true
		}
	}
	for _, f := range files {
		if done[f.Version] {
			continue
		}
		record := "insert into schema_migrations (version) values ('" + f.Version + "')"
		sql := "begin;" + create + f.Up + "\n;" + record + "; commit"
		if _, err := conn.Exec(ctx, sql).ReadAll(); err != nil {
			return applied, err
		}
		create = ""
		applied++
	}
	return applied, nil
}
