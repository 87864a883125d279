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

// dbmate opens databases by URL and expects a *sql.DB. Here the connection is open, the lock is held and the versions
// are read before dbmate starts, so the host of its URL is the number of an [applier]: [engineDriver] answers dbmate's
// questions from what the applier knows, and [applierConn] passes its statements to the applier, which decides how they
// are sent.

const driverScheme = "neon-tenants"

var (
	registerDriver = sync.OnceFunc(func() { dbmate.RegisterDriver(newEngineDriver, driverScheme) })
	appliers       sync.Map // an applier's number as text → *applier
	lastApplier    atomic.Int64
)

// withEngine calls use with dbmate over files and an applier. It turns off everything that this project does itself or
// never does.
func withEngine(files fileSystem, a *applier, use func(*dbmate.DB) error) error {
	registerDriver()
	key := strconv.FormatInt(lastApplier.Add(1), 10)
	appliers.Store(key, a)
	defer appliers.Delete(key)
	db := dbmate.New(&url.URL{Scheme: driverScheme, Host: key})
	db.AutoDumpSchema = false
	db.FS = files
	db.Log = io.Discard // it says "Applied" too early; the applier logs what really happened
	db.MigrationsDir = []string{"."}
	return use(db)
}

// engineDriver implements dbmate.Driver over one applier.
type engineDriver struct{ applier *applier }

func newEngineDriver(config dbmate.DriverConfig) dbmate.Driver {
	a, _ := appliers.Load(config.DatabaseURL.Host)
	return engineDriver{a.(*applier)}
}

var errNotUsed = errors.New("neon-tenants-action never asks dbmate for this")

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

// QueryError leaves the error as it is: the applier has already located it in the file.
func (d engineDriver) QueryError(_ string, err error) error { return err }

func (d engineDriver) Ping() error                                      { return nil }
func (d engineDriver) DatabaseExists() (bool, error)                    { return true, nil }
func (d engineDriver) CreateDatabase() error                            { return errNotUsed }
func (d engineDriver) DropDatabase() error                              { return errNotUsed }
func (d engineDriver) DumpSchema(*sql.DB, ...string) ([]byte, error)    { return nil, errNotUsed }
func (d engineDriver) DeleteMigration(dbutil.Transaction, string) error { return errNotUsed }

// applierConn is the applier as database/sql sees it: connector, connection and transaction in one. No method returns
// driver.ErrBadConn, after which database/sql would run a statement a second time.
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

func (c applierConn) Prepare(string) (driver.Stmt, error) { return nil, errNotUsed }
func (c applierConn) Begin() (driver.Tx, error)           { return nil, errNotUsed }

func (c applierConn) BeginTx(context.Context, driver.TxOptions) (driver.Tx, error) {
	c.applier.begin()
	return c, nil
}

func (c applierConn) ExecContext(_ context.Context, query string, _ []driver.NamedValue) (driver.Result, error) {
	return driver.ResultNoRows, c.applier.run(query)
}

func (c applierConn) Commit() error   { return c.applier.commit() }
func (c applierConn) Rollback() error { return c.applier.rollback() }
