package mode

import (
	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/input"
	"github.com/org/neon-tenants-action/internal/migration"
	"github.com/org/neon-tenants-action/internal/postgres"
)

// ReadFormat reads whose migration files and whose table of applied ones the tenants have.
func ReadFormat(in *input.Reader) postgres.Format {
	if in.Choice("migrations-format", postgres.Dbmate.String(), postgres.Drizzle.String()) == postgres.Drizzle.String() {
		return postgres.Drizzle
	}
	return postgres.Dbmate
}

// ReadLedger reads the table in which tenants record their migrations, as it is named: without a schema, it is the
// source that knows which one it is in.
func ReadLedger(in *input.Reader) postgres.Ledger {
	l := postgres.Ledger{Format: ReadFormat(in)}
	in.Default("migrations-table", l.Format.TableName())
	l.Table = input.Parse(in, "migrations-table", postgres.ParseTable)
	return l
}

// ReadLedger is [ReadLedger] for the run's tenants. Those that are schemas have it in their own.
func (e Env) ReadLedger(in *input.Reader) postgres.Ledger {
	l := ReadLedger(in)
	if _, ok := e.Source.(fleet.SchemaHost); ok {
		return l
	}
	return l.AtHome()
}

// ReadMigrations loads the migration files in the directory that the input called name gives. It returns nil if the
// input is empty, or with a mistake if the directory or a file in it cannot be used.
func ReadMigrations(in *input.Reader, name string) *migration.Files {
	format := ReadFormat(in)
	dir := in.Dir(name)
	if dir == "" {
		return nil
	}
	files, err := migration.Load(dir, in.String(name), format)
	if err != nil {
		in.Mistake(name, "%v", err)
	}
	return files
}

// ReadTenantMigrations is [ReadMigrations] for the files of every tenant, which are where their tool keeps them if the
// input is left out.
func ReadTenantMigrations(in *input.Reader) *migration.Files {
	DefaultMigrationsPath(in)
	return ReadMigrations(in, "migrations-path")
}

// DefaultMigrationsPath has migrations-path mean, if it is left out, the directory of the files' tool.
func DefaultMigrationsPath(in *input.Reader) {
	in.Default("migrations-path", ReadFormat(in).Directory())
}
