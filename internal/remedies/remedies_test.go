package remedies

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/org/neon-tenants-action/internal/bucket"
	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/migration"
	"github.com/org/neon-tenants-action/internal/pgdump"
	"github.com/org/neon-tenants-action/internal/postgres"
)

func TestEveryKindOfFailureHasOneHint(t *testing.T) {
	seen := map[any]string{}
	for _, h := range hints {
		if other, twice := seen[h.about]; twice {
			t.Errorf("%v has two hints: %q and %q", h.about, other, h.remedy)
		}
		seen[h.about] = h.remedy
		if h.about == postgres.Cause("") || h.about == bucket.Cause("") || h.remedy == "" {
			t.Errorf("an empty hint: %v: %q", h.about, h.remedy)
		}
	}
}

func refused(code string) error { return &pgconn.PgError{Severity: "FATAL", Code: code} }

func connect(err error) error {
	return &postgres.ConnectError{Host: "db.example.com", Database: "app", Err: err}
}

func program(output string) error { return &pgdump.ProgramError{Program: "pg_dump", Output: output} }

func store(status int, code, message string) error {
	return &bucket.Error{Op: "upload", Status: status, Code: code, Message: message, Err: errors.New("refused")}
}

// TestRemedies has an example of each kind of failure that the exported parts of an error tell. The tests of the
// adapters have those of the others, from real servers.
func TestRemedies(t *testing.T) {
	tracker := postgres.SchemaList{Table: postgres.Table{Schema: "public", Name: "Tracker"}}
	table := postgres.Table{Schema: "app", Name: "versions"}
	reached := map[any]bool{}
	for _, c := range []struct {
		err  error
		want string
	}{
		{connect(refused("28P01")), "reset it, or correct the connection string"},
		{connect(refused("28000")), "reset it, or correct the connection string"},
		{connect(refused("3D000")), "correct database-name or the connection string"},
		{connect(refused("53300")), "lower concurrency"},
		{connect(&tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}}), "sslrootcert="},
		{connect(&net.DNSError{IsNotFound: true}), "the connection string is misspelt"},
		{connect(&pgconn.PgError{Message: "unsupported startup parameter: options"}), "the database's own host and port"},
		{connect(refused("42704")), "take that parameter out"},
		{&postgres.PlaintextError{}, "allow-insecure: true"},
		{&postgres.TransactionPoolerError{}, "the database's own host and port"},
		{&postgres.TableError{Cause: postgres.NoSchema, Table: table}, "set migrations-table: public.versions"},
		{&postgres.TableError{Cause: postgres.OtherSchema, Table: table}, "set migrations-table: app.versions if"},
		{&postgres.TableError{Cause: postgres.VersionsRefused}, "role-name"},
		{&postgres.TableError{Cause: postgres.VersionsNotOurs}, "migrations-table"},
		{&postgres.TableError{Cause: postgres.VersionsHidden, Table: table}, `alter table "app"."versions" disable row`},
		{&postgres.SearchPathError{Missing: "x", Instead: "public"}, "create the schema"},
		{&postgres.TableError{Cause: postgres.SchemaListColumn}, "schema-tracker"},
		{&postgres.TableError{Cause: postgres.SchemaListDenied}, "grant it select there"},
		{&postgres.MissingListError{List: tracker}, `create table "public"."Tracker" (name text primary key)`},
		{&postgres.MissingSchemaError{Schema: "acme"}, "create-missing: true"},
		{&postgres.DependentsError{Schema: "acme"}, "alter extension … set schema"},

		{&migration.BeginningError{Unknown: []string{"1"}}, "choose another tenant-name"},
		{&migration.LockError{}, "raise lock-timeout"},
		{&migration.LockError{Shared: true}, "raise lock-timeout above"},
		{&migration.SkippedError{Highest: "30"}, "a when above 30 and move it to the end"},
		{&migration.StrangersError{Rows: []string{"1"}}, "take the folders of these times back"},
		{&migration.OrderError{Highest: "30"}, "a version above 30, or set strict-order: false"},
		{&migration.Error{Err: refused("55P03")}, "raise statement-lock-timeout"},
		{&migration.Error{Err: refused("42501")}, "role-name"},
		{&migration.BaselineError{Err: &pgconn.PgError{
			Code: "57014", Message: "canceling statement due to statement timeout",
		}}, "alter role … set statement_timeout"},
		{&migration.BaselineError{Err: refused("25006")}, "default_transaction_read_only"},
		{&migration.Error{Err: refused("57014")}, "run again"},
		{&migration.Error{Err: refused("57P01")}, "run again"},
		{&migration.Error{Err: refused("53100")}, "no room left"},
		{&migration.Error{Err: refused("53200")}, "max_locks_per_transaction"},
		{&migration.Error{Err: refused("53400")}, "or split the file"},
		{&migration.Error{Err: refused("25006")}, "default_transaction_read_only"},
		{&migration.Error{Err: &pgconn.PgError{Code: "57014", Message: "canceling statement due to statement timeout"}},
			"set statement_timeout = 0"},
		{&migration.Error{Err: refused("23505"), Invalid: []postgres.InvalidIndex{{Schema: "a", Name: "B", Table: "t"}}},
			`run drop index concurrently "a"."B"; on`},
		{&migration.Error{Err: refused("22012")}, "correct the file or the tenant's data"},
		{&migration.Error{Err: refused("42P07")}, "adopt it with baseline"},
		{&migration.Error{Err: refused("25001")}, "write the statement without concurrently"},

		{pgdump.CheckArgs([]string{"-f", "x"}), "take it out"},
		{pgdump.CheckArgs([]string{"--format=c"}), "set backup-format"},
		{pgdump.CheckArgs([]string{"-Z9"}), "compression-level"},
		{&pgdump.ArgumentError{Cause: pgdump.ZstdArchive}, "compression: gzip, or backup-format: plain"},
		{&pgdump.NoClientsError{Major: 18, Found: []int{16, 17}}, `PG_CLIENTS="16 17 18"`},
		{program("pg_dump: error: unrecognized option '--x'"), "pg-dump-args"},
		{program("pg_dump: error: no matching tables were found"), "pg-dump-args names a table"},
		{program("pg_dump: error: no matching schemas were found"), "pg-dump-args names a schema"},
		{program("ERROR:  out of shared memory\nHINT:  You might need to increase max_locks_per_transaction."),
			"raise max_locks_per_transaction there"},
		{program("pg_dump: error: aborting because of server version mismatch"), "pg-version: auto"},
		{program("ERROR: query would be affected by row-level security policy"), "BYPASSRLS (role-name"},
		{program("ERROR: permission denied for table a"), "--exclude-table=…"},
		{program("ERROR: canceling statement due to statement timeout"), "--lock-wait-timeout=10min"},
		{program("ERROR: canceling statement due to lock timeout"), "at a quieter hour"},
		{program("could not extend file: No space left on device"), "a disk is full"},
		{program(`FATAL: database "x" does not exist`), "database-name, role-name, pg-dump-args"},
		{program("FATAL: terminating connection due to administrator command"), "the server ended the session"},
		{program("server closed the connection unexpectedly"), "is short of memory"},
		{program("could not receive data from server"), "run again"},
		{program("FATAL: sorry, too many connections"), "lower concurrency"},
		{program("Connection refused"), "firewall"},
		{&pgdump.NotEmptyError{}, "overwrite: true"},
		{&pgdump.BackupError{}, "backup-key"},
		{&pgdump.BackupError{Cause: pgdump.EncryptedBackup}, "age-identity"},
		{&pgdump.BackupError{Cause: pgdump.OtherKey}, "one of the backup's recipients"},
		{&pgdump.BackupError{Cause: pgdump.NewerBackup, Major: 17}, "a server of PostgreSQL 17"},
		{&pgdump.BackupError{Cause: pgdump.NewerArchive}, "restore it with that major"},
		{&pgdump.RestoreError{Statement: "set transaction_timeout", Err: refused("42704")}, "of the same major"},
		{&pgdump.RestoreError{Statement: "create extension postgis", Err: refused("0A000")}, "lacks an extension"},
		{&pgdump.RestoreError{Statement: "create schema public", Err: refused("42P06")}, "overwrite: true"},
		{&pgdump.RestoreError{Err: &pgconn.PgError{Code: "53200", Message: "out of shared memory"}},
			"raise max_locks_per_transaction on the target's server"},
		{&pgdump.RestoreError{Err: refused("42704")}, "create that in the target first"},
		{&pgdump.RestoreError{Err: refused("42501")}, "may not create everything"},
		{&pgdump.RestoreError{Err: &pgconn.PgError{Code: "42501", Message: "must be owner of table a"}},
			"may not change everything"},
		{&pgdump.RestoreError{Err: refused("55P03")}, "at a quieter hour"},
		{&pgdump.RestoreError{Err: refused("53100")}, "a disk is full"},
		{&pgdump.RestoreError{Err: refused("57P01")}, "the server ended the session"},
		{&pgdump.RestoreError{Err: refused("22012")}, "backup-key"},
		{&pgdump.RestoreError{Err: errors.New("connection reset")}, "run again"},

		{store(http.StatusNotFound, "NoSuchBucket", ""), "s3-bucket, aws-region and s3-endpoint"},
		{store(http.StatusMovedPermanently, "PermanentRedirect", ""), "check aws-region"},
		{store(http.StatusForbidden, "InvalidAccessKeyId", ""), "AWS_ACCESS_KEY_ID was deleted"},
		{store(http.StatusForbidden, "InvalidClientTokenId", ""), "set role-to-assume in place of keys"},
		{store(http.StatusForbidden, "InvalidTokenId", ""), "AWS_ACCESS_KEY_ID was deleted"},
		{store(http.StatusForbidden, "SignatureDoesNotMatch", ""), "AWS_SECRET_ACCESS_KEY does not belong"},
		{store(http.StatusBadRequest, "ExpiredToken", ""), "set role-to-assume, so that the run renews its own"},
		{store(http.StatusBadRequest, "InvalidToken", ""), "AWS_SESSION_TOKEN does not belong"},
		{store(http.StatusBadRequest, "KMSNotConfigured", ""), "a key that s3-kms-key-id names: leave it out"},
		{store(http.StatusForbidden, "RequestTimeTooSkewed", ""), "clock"},
		{store(http.StatusForbidden, "AccessDenied", "not authorized to use KMS"), "s3-kms-key-id"},
		{store(http.StatusBadRequest, "KMS.NotFoundException", ""), "s3-kms-key-id exists"},
		{store(http.StatusBadRequest, "InvalidStorageClass", ""), "s3-storage-class"},
		{store(http.StatusForbidden, "InvalidObjectState", ""), "aws s3api restore-object"},
		{store(http.StatusBadRequest, "EntityTooLarge", ""), "no object of this size"},
		{store(http.StatusInsufficientStorage, "QuotaExceeded", ""), "retention-days"},
		{store(http.StatusPreconditionFailed, "PreconditionFailed", ""), "in the same second"},
		{store(http.StatusServiceUnavailable, "", ""), "run again later"},
		{&bucket.Error{Err: x509.UnknownAuthorityError{}}, "AWS_CA_BUNDLE"},
		{&bucket.Error{Err: errors.New("connection reset")}, "s3-endpoint"},
	} {
		about, _ := describe(c.err)
		reached[about] = true
		if got := Of(fmt.Errorf("migrate: %w", c.err)); !strings.Contains(got, c.want) || strings.Contains(got, "{") {
			t.Errorf("%T %v: the remedy is %q, want %q", c.err, c.err, got, c.want)
		}
	}
	// These need a connection that is lost, a restore, or a bucket.
	elsewhere := []any{
		postgres.NoAnswer, migration.ConnectionLost, migration.LostOutsideTransaction,
		migration.AppliedInPart, migration.LockReleased, migration.SessionEnded, migration.NameElsewhere,
		migration.NotRecorded, migration.RecordUnknown,
		pgdump.CommitUnknown, pgdump.StillExists, bucket.ObjectReplaced,
		bucket.ObjectDamaged, bucket.ObjectDiffers, bucket.ObjectOverwritten, bucket.NoRanges,
		bucket.OtherRegion, bucket.ExposedEndpoint, bucket.TooManyParts, bucket.NoRegion,
		bucket.Denied, bucket.NoCredentials, bucket.NoSuchProfile, bucket.BadConfiguration, bucket.SourceFailed,
		bucket.NoObjectLock, bucket.Unsupported,
		bucket.UntrustedJob, bucket.NoIdentityProvider, bucket.TokenExpired, bucket.InvalidRoleSession,
		bucket.TokenServiceInactive,
	}
	for _, h := range hints {
		if !reached[h.about] && !slices.Contains(elsewhere, h.about) {
			t.Errorf("no example reaches %v", h.about)
		}
	}
}

// TestNames compares the remedies with action.yml: every word of them that looks like an input is one.
func TestNames(t *testing.T) {
	definition, err := os.ReadFile("../../action.yml")
	if err != nil {
		t.Fatal(err)
	}
	others := []string{
		"verify-full", "id-token", "percent-encoded", "AGE-SECRET-KEY-1…", "create-tenant", "--exclude-table",
		"--exclude-schema", "--lock-wait-timeout", "--build-arg", "restore-object", "postgresql-client-{major}",
		"aws-actions/configure-aws-credentials",
	}
	between := func(r rune) bool { return strings.ContainsRune(" :;,()=", r) }
	for _, h := range hints {
		for _, word := range strings.FieldsFunc(h.remedy, between) {
			if strings.Contains(word, "-") && !slices.Contains(others, word) &&
				!strings.Contains(string(definition), "\n  "+word+":\n") {
				t.Errorf("%q: there is no input %s", h.remedy, word)
			}
		}
	}
}

func TestExplain(t *testing.T) {
	locked := &migration.LockError{}
	remedy := Of(locked)
	for name, c := range map[string]struct {
		err  error
		want string
	}{
		"nothing to say":            {errors.New("broken"), ""},
		"an adapter's":              {locked, remedy},
		"wrapped":                   {fmt.Errorf("migrate: %w", locked), remedy},
		"joined":                    {errors.Join(errors.New("cancelled"), locked), remedy},
		"with a remedy of its own":  {&pgdump.StallError{}, (&pgdump.StallError{}).Remedy()},
		"with a better remedy":      {fleet.WithRemedy(locked, "wait"), "wait"},
		"the first of several":      {errors.Join(locked, fleet.WithRemedy(errors.New("x"), "wait")), remedy},
		"after one of another kind": {errors.Join(fleet.WithRemedy(errors.New("x"), "wait"), locked), "wait"},
		"of no known cause":         {&bucket.Error{Status: http.StatusTeapot}, ""},
	} {
		got := Explain(c.err)
		if fleet.Remedy(got) != c.want || got.Error() != c.err.Error() || !errors.Is(got, c.err) {
			t.Errorf("%s: got %v, remedy %q, want %q", name, got, fleet.Remedy(got), c.want)
		}
		if again := Explain(got); again != got { //nolint:errorlint // the very same
			t.Errorf("%s: explained twice", name)
		}
	}
	if Explain(nil) != nil {
		t.Error("nil is explained")
	}
	var lock *migration.LockError
	if !errors.As(Explain(fmt.Errorf("migrate: %w", locked)), &lock) {
		t.Error("the adapter's error is lost")
	}
}
