package migration

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"
	"net/url"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/amacneil/dbmate/v2/pkg/dbmate"
	"github.com/amacneil/dbmate/v2/pkg/dbutil"
)

// dbmate opens databases by URL and wants a *sql.DB. Here the connection is open, locked and already asked for its
// versions when dbmate begins, so what it gets by the URL's host, a number, is that session: [engineDriver] answers its
// questions from what the session knows, and [applierConn] hands its statements to the session, which decides how they go
// over the wire.

const driverScheme = "neon-tenants"

var (
	registerDriver = sync.OnceFunc(func() { dbmate.RegisterDriver(newEngineDriver, driverScheme) })
	appliers       sync.Map // a session's number as text → *applier
	lastApplier    atomic.Int64
)

// withEngine calls do with dbmate over files and a session, everything off that this project does itself or never does.
func withEngine(files fileSystem, s *applier, do func(*dbmate.DB) error) error {
	registerDriver()
	key := strconv.FormatInt(lastApplier.Add(1), 10)
	appliers.Store(key, s)
	defer appliers.Delete(key)
	db := dbmate.New(&url.URL{Scheme: driverScheme, Host: key})
	db.AutoDumpSchema = false
	db.FS = files
	db.Log = io.Discard // it says "Applied" before it knows; the session tells what really happened
	db.MigrationsDir = []string{"."}
	return do(db)
}

// engineDriver implements dbmate.Driver over one session.
type engineDriver struct{ applier *applier }

func newEngineDriver(config dbmate.DriverConfig) dbmate.Driver {
	s, _ := appliers.Load(config.DatabaseURL.Host)
	return engineDriver{s.(*applier)}
}

var errNotOurs = errors.New("neon-tenants-action never asks dbmate for this")

func (d engineDriver) Open() (*sql.DB, error) {
	db := sql.OpenDB(applierConn(d))
	db.SetMaxOpenConns(1)
	return db, nil
}

func (d engineDriver) MigrationsTableExists(*sql.DB) (bool, error) { return d.applier.found, nil }

func (d engineDriver) SelectMigrations(*sql.DB, int) (map[string]bool, error) {
	return d.applier.versions, nil
}

// CreateMigrationsTable does nothing: the first migration's own transaction creates the table.
func (d engineDriver) CreateMigrationsTable(*sql.DB) error { return nil }

func (d engineDriver) InsertMigration(_ dbutil.Transaction, version string) error {
	return d.applier.record(version)
}

// QueryError leaves the error alone: the session has located it in the file already.
func (d engineDriver) QueryError(_ string, err error) error { return err }

func (d engineDriver) Ping() error                                      { return nil }
func (d engineDriver) DatabaseExists() (bool, error)                    { return true, nil }
func (d engineDriver) CreateDatabase() error                            { return errNotOurs }
func (d engineDriver) DropDatabase() error                              { return errNotOurs }
func (d engineDriver) DumpSchema(*sql.DB, ...string) ([]byte, error)    { return nil, errNotOurs }
func (d engineDriver) DeleteMigration(dbutil.Transaction, string) error { return errNotOurs }

// applierConn is the session seen by database/sql: connector, connection and transaction in one. No method returns
// driver.ErrBadConn, upon which database/sql would run a statement a second time.
type applierConn struct{ applier *applier }

var (
	_ driver.Connector     = applierConn{}
	_ driver.ConnBeginTx   = applierConn{}
	_ driver.ExecerContext = applierConn{}
)

func (c applierConn) Connect(context.Context) (driver.Conn, error) { return c, nil }
func (c applierConn) Driver() driver.Driver                        { return c }
func (c applierConn) Open(string) (driver.Conn, error)             { return c, nil }

// Close leaves the connection open: whoever opened it closes it, and its lock is held until then.
func (c applierConn) Close() error { return nil }

func (c applierConn) Prepare(string) (driver.Stmt, error) { return nil, errNotOurs }
func (c applierConn) Begin() (driver.Tx, error)           { return nil, errNotOurs }

func (c applierConn) BeginTx(context.Context, driver.TxOptions) (driver.Tx, error) {
	c.applier.begin()
	return c, nil
}

func (c applierConn) ExecContext(_ context.Context, query string, _ []driver.NamedValue) (driver.Result, error) {
	return driver.ResultNoRows, c.applier.run(query)
}

func (c applierConn) Commit() error   { return c.applier.commit() }
func (c applierConn) Rollback() error { return c.applier.rollback() }
