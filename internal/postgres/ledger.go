package postgres

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/org/neon-tenants-action/internal/sqltext"
)

// Format is the tool whose table of applied migrations a [Ledger] is.
type Format int

// The tools. Each has its own table, and each finds nothing to do where another client has kept it in the same form.
const (
	Dbmate  Format = iota
	Drizzle        // drizzle-orm and drizzle-kit, in the forms of 0.x and of 1.0
)

// String is the tool's name.
func (f Format) String() string {
	if f == Drizzle {
		return "drizzle"
	}
	return "dbmate"
}

// Directory is where the tool looks for migrations unless it is told otherwise.
func (f Format) Directory() string {
	if f == Drizzle {
		return "drizzle"
	}
	return "db/migrations"
}

// TableName is the name of the tool's table unless it is told otherwise.
func (f Format) TableName() string {
	if f == Drizzle {
		return "__drizzle_migrations"
	}
	return "schema_migrations"
}

// Ledger is the table in which a tool records the migrations that it has applied.
type Ledger struct {
	Table
	Format Format
}

// In is the ledger of the same name in a schema.
func (l Ledger) In(schema string) Ledger { return Ledger{l.Table.In(schema), l.Format} }

// PublicSchema is the home of a database: what is named without a schema is there.
const PublicSchema = "public"

// HomeSchema is where drizzle keeps its table unless it is told otherwise.
const HomeSchema = "drizzle"

// AtHome is the ledger where its tool keeps it if it is named without a schema.
func (l Ledger) AtHome() Ledger {
	if l.Format == Drizzle && l.Bare() {
		return l.In(HomeSchema)
	}
	return l
}

// Among returns the ledgers of that name that some schemas have, in the order of these.
func (l Ledger) Among(ctx context.Context, c *Conn, schemas ...string) (all []Ledger, err error) {
	for _, schema := range schemas {
		literal := sqltext.QuoteLiteral(l.In(schema).Quoted())
		answers, err := c.Results(ctx, "select pg_catalog.to_regclass("+literal+") is not null")
		if err != nil {
			return nil, fmt.Errorf("look for %s: %w", l.In(schema).Quoted(), err)
		}
		if string(answers[0][0][0]) == "t" {
			all = append(all, l.In(schema))
		}
	}
	return all, nil
}

// Entry is what a ledger records of one migration.
type Entry struct {
	Version string
	// Drizzle's: the SHA-256 of the file in hexadecimal, a time in milliseconds since 1970, and the name of the
	// migration's folder; empty in the form of 0.x.
	Hash      string
	CreatedAt int64
	Name      string
}

// Recorder writes the SQL that records migrations in a ledger, and nothing but SQL: it connects to nothing.
type Recorder struct {
	Ledger
	// Names is true if drizzle's rows have names, as from 1.0 on.
	Names bool
}

// Create are the statements that create the table, as its tool does.
func (r Recorder) Create() []string {
	if r.Format == Drizzle {
		return r.createDrizzle()
	}
	return []string{fmt.Sprintf("create table if not exists %s (version varchar primary key)", r.Quoted())}
}

// Insert records migrations.
func (r Recorder) Insert(entries ...Entry) string {
	if r.Format == Drizzle {
		return r.insertDrizzle(entries)
	}
	return r.insertDbmate(entries)
}

// Kept is an SQL condition that is true if entries which were just recorded will be read again as they are. A number
// loses its leading zeros, a rule or a trigger may do anything.
func (r Recorder) Kept(entries ...Entry) string {
	if r.Format == Drizzle {
		return r.keptDrizzle(entries)
	}
	return r.keptDbmate(entries)
}

// Restore records in a copy of the ledger what a status says of the original.
func (s Status) Restore(ctx context.Context, c *Conn) error {
	var entries []Entry
	for v := range s.Versions {
		entries = append(entries, Entry{Version: v})
	}
	if s.Table.Format == Drizzle {
		entries = entries[:0]
		for _, row := range s.Rows {
			entries = append(entries, row.Entry)
		}
	}
	if _, err := c.Exec(ctx, (Recorder{s.Table, s.Named}).Insert(entries...)); err != nil {
		return fmt.Errorf("record versions in %s: %w", s.Table.Quoted(), err)
	}
	return nil
}

// Recording is the status with entries added, as they will be read once they are recorded.
func (s Status) Recording(entries []Entry) Status {
	s.Versions, s.Rows = maps.Clone(s.Versions), slices.Clone(s.Rows)
	for _, e := range entries {
		s.Versions[e.Version] = true
		if s.Table.Format == Drizzle {
			s.Rows = append(s.Rows, Row{Entry: e})
		}
	}
	return s
}

// read reads the rows of the ledger, after a look at its columns.
func (s *Status) read(ctx context.Context, c *Conn, rows Rows) error {
	if s.Table.Format == Drizzle {
		return s.readDrizzle(ctx, c, rows)
	}
	return s.readDbmate(ctx, c, rows)
}

// RowsQuery is a PL/pgSQL expression for the text of a query that returns a ledger's rows as JSON, for [Status.Read];
// null if the table is not as its tool makes it. The two placeholders of the text are for the table's schema and name;
// columns is an expression for the number of its columns.
func (f Format) RowsQuery(columns string) string {
	if f == Drizzle {
		return rowsOfDrizzle(columns)
	}
	return rowsOfDbmate(columns)
}

// Read reads the answer to a [Format.RowsQuery].
func (s *Status) Read(text []byte) error {
	s.Versions = map[string]bool{}
	if s.Table.Format == Drizzle {
		return s.readDrizzleJSON(text)
	}
	return s.readDbmateJSON(text)
}
