package remedies

import (
	"github.com/org/neon-tenants-action/internal/bucket"
	"github.com/org/neon-tenants-action/internal/migration"
	"github.com/org/neon-tenants-action/internal/pgdump"
	"github.com/org/neon-tenants-action/internal/postgres"
)

// hint is the remedy for one kind of failure.
type hint struct {
	// about is a cause, or a nil pointer of the type of an error that has only one.
	about any
	// remedy has placeholders for the error's facts, such as {table}.
	remedy string
}

// hints lists each kind of failure once.
var hints = []hint{
	// A database that cannot be connected to.
	{postgres.BadCredentials, "the role or its password is wrong or was changed since: reset it, or correct the " +
		"connection string, in which special characters of the password are percent-encoded (% is %25, : is %3A, # is %23)"},
	{postgres.NoSuchDatabase, "there is no such database on this server: correct database-name or the connection " +
		"string"},
	{postgres.ConnectionLimit, "the server has no connection left: lower concurrency, or run when fewer clients are " +
		"connected"},
	{postgres.UntrustedCertificate, "the server's certificate is not one this machine trusts for that name: correct " +
		"the host, or have the variable SSL_CERT_FILE name a file that holds the authority's certificate beside the " +
		"system's (a connection string in an input such as database-url can name one with sslrootcert=)"},
	{postgres.NoSuchHost, "the host's name does not exist: the project or endpoint may have been deleted, or the " +
		"connection string is misspelt"},
	{postgres.SettingRefused, "a connection pooler takes no setting in the startup message: give the database's own " +
		"host and port in the connection string, or take the setting out"},
	{postgres.SettingUnknown, "take that parameter out of the connection string, or correct it: the server takes every " +
		"one that no client of PostgreSQL knows for a setting"},
	{postgres.NoAnswer, "the server does not answer: see whether it runs, and whether its firewall or IP allow list " +
		"lets this runner in"},
	{(*postgres.PlaintextError)(nil), "use sslmode=verify-full (or require, which is verified here all the same); " +
		"allow-insecure: true permits it"},
	{(*postgres.TransactionPoolerError)(nil), "give the database's own host and port in the connection string, not " +
		"the pooler's (Supabase: port 5432, not 6543), or those of a pool in session mode; nothing was changed"},

	// The table of applied versions, and the list of schemas.
	{postgres.NoSchema, "set migrations-table: public.{name}, or give the role a search_path"},
	{postgres.OtherSchema, "set migrations-table: {table} if every tenant's record is there, or correct the role's " +
		"search_path"},
	{postgres.VersionsRefused, "grant it select and insert there, and usage of the schema, or connect as the role that " +
		"owns it (role-name, or the user of the connection string)"},
	{postgres.VersionsHidden, "let the role see all rows: alter table {quoted} disable row level security, or " +
		"connect as the table's owner or a role with BYPASSRLS (role-name, or the user of the connection string)"},
	{postgres.VersionsNotOurs, "rename the other tool's table (alter table {quoted} rename to …), or name another with " +
		"migrations-table, which is then every tenant's"},
	{(*postgres.SearchPathError)(nil), "create the schema, or correct the search_path in the connection string or of " +
		"the role (alter role … set search_path)"},
	{postgres.SchemaListColumn, "name the table that lists the schemas with schema-tracker; the schemas' names are " +
		"in its column name"},
	{postgres.SchemaListDenied, "grant it select there, or give the connection string of the role that owns it"},
	{(*postgres.MissingListError)(nil), "name the right table with schema-tracker, create it with create table " +
		"{table} (name text primary key), or let mode create-tenant create it; database-url may also name another " +
		"database"},
	{(*postgres.MissingSchemaError)(nil), "set create-missing: true to have it created, take it out of the tracker, " +
		"or correct database-url if it names another database"},
	{(*postgres.DependentsError)(nil), "drop each of them, change it so that it uses nothing of this schema, or move " +
		"what it uses to another schema (alter … set schema; of an extension, as a superuser, alter " +
		"extension … set schema)"},

	// Migrations.
	{(*migration.LockError)(nil), "let the other run finish and run again; give the workflow a concurrency group so " +
		"that runs do not overlap, or raise lock-timeout"},
	{migration.HeldByBackup, "a backup holds this tenant until its dump is whole: run again when it has ended, run " +
		"the two at different hours, or raise lock-timeout above what the dump takes"},
	{(*migration.OrderError)(nil), "give the file a version above {version}, or set strict-order: false to apply it " +
		"out of order; nothing was applied"},
	{(*migration.SkippedError)(nil), "give its entry in meta/_journal.json a when above {version} and move it to the " +
		"end, once the file is repeatable (if not exists), because it runs again where it is applied; or set " +
		"strict-order: false to leave it out; nothing was applied"},
	{(*migration.StrangersError)(nil), "take the folders of these times back from the repository's history, or correct " +
		"migrations-path; if other folders have their work, delete these rows: the table of drizzle 0.x can be upgraded " +
		"only where every row has its folder"},
	{(*migration.BeginningError)(nil), "somebody else has used this schema or database since this run checked it: " +
		"choose another tenant-name; or, if it is that tenant's, list it by hand and run mode migrate"},
	{migration.TableLocked, "another session holds a lock on a table that the migration changes: run at a quieter " +
		"hour, or raise statement-lock-timeout; the file was rolled back"},
	{migration.PrivilegeMissing, "the role may not do this: grant it the privilege, or connect as one that has it " +
		"(role-name, or the user of the connection string); the file was rolled back"},
	{migration.DiskFull, "the server has no room left: give it more, or delete what is not needed, then run again; the " +
		"file was rolled back"},
	{migration.LimitReached, "the server does not give the file enough memory, locks or temporary files: raise what the " +
		"message names (max_locks_per_transaction where it is shared memory), or split the file; the file was rolled back"},
	{migration.ReadOnly, "the session may only read: the file says so itself, the role or the database does " +
		"(default_transaction_read_only), or the server is a replica; the file was rolled back"},
	{migration.TimeOut, "the role or the database has a statement_timeout that is too short for this: begin the file " +
		"with set statement_timeout = 0, then run again; the file was rolled back"},
	{migration.BaselineReadOnly, "the session may only read: the role or the database says so " +
		"(default_transaction_read_only), or the server is a replica: let the role write, then run again; nothing was " +
		"changed"},
	{migration.BaselineTimeOut, "the role or the database has a statement_timeout that is too short for this: raise it " +
		"(alter role … set statement_timeout), then run again; nothing was changed"},
	{migration.Stopped, "the statement was stopped and the file rolled back; run again"},
	{migration.AlreadyThere, "the file was rolled back: if the tenant's tables were made without these files, adopt it " +
		"with baseline; otherwise correct the file, then run again"},
	{migration.NoTransaction, "PostgreSQL refuses this in a transaction, and each file is applied in one: write the " +
		"statement without concurrently if it has that; among dbmate's files, put it into one of its own that says " +
		"transaction:false. The file was rolled back"},
	{migration.RolledBack, "the file was rolled back and the tenant is at the version before it: correct the file or " +
		"the tenant's data, then run again"},
	{migration.ConnectionLost, "run again: it was applied and recorded, or neither, and it is never applied twice"},
	{migration.LostOutsideTransaction, "it runs outside a transaction, so part of it may have been applied without " +
		"being recorded: look at the tenant before you run again"},
	{migration.AppliedInPart, "what it had committed before it failed stands: undo that or make the file repeatable, " +
		"then run again"},
	{migration.IndexInvalid, "run {drop} on the tenant, correct what kept the index from being built, and run again: " +
		"if not exists passes over an invalid index, and the file is recorded only without one"},
	{migration.LockReleased, "take the statement out (pg_advisory_unlock, pg_advisory_unlock_all), then run again"},
	{migration.SessionEnded, "run again: no file after it was run"},
	{migration.NameElsewhere, "a name without a schema means the tenant's own schema and no other: write the schema " +
		"before the name of what all tenants share, such as public.citext; an extension in one tenant's schema is " +
		"moved by a superuser with alter extension citext set schema public. The file was rolled back"},
	{migration.NotRecorded, "the file says transaction:false, so it has taken effect: insert version {version} into " +
		"{table} by hand, or undo the file's work, and run again"},
	{migration.RecordUnknown, "the file says transaction:false, so it has taken effect: look whether {table} has " +
		"version {version}; if not, insert it by hand, or undo the file's work; then run again"},

	// Arguments of pg_dump.
	{pgdump.UnsupportedArgument, "take it out"},
	{pgdump.FormatArgument, "take it out, and set backup-format"},
	{pgdump.CompressionArgument, "take it out, and set compression and compression-level"},
	{pgdump.ZstdArchive, "set compression: gzip, or backup-format: plain"},
	{pgdump.UnknownOption, "correct pg-dump-args: this major's pg_dump has no such option"},
	{pgdump.NoMatchingTable, "pg-dump-args names a table that is not there: correct the pattern"},
	{pgdump.NoMatchingSchema, "pg-dump-args names a schema that is not there: correct the pattern"},

	// pg_dump and pg_restore.
	{pgdump.WrongMajor, "pg_dump has to be of the server's own major: set pg-version: auto, or the server's major"},
	{(*pgdump.NoClientsError)(nil), "pg_dump and pg_restore have to be of the server's own major: use the action's " +
		"published image, build it with --build-arg PG_CLIENTS=\"{majors}\" (and PG_REPO=pgdg, which has them " +
		"all), or outside of the image install postgresql-client-{major}"},
	{pgdump.RowSecurity, "the role does not see all rows, so the dump would not be whole: connect as the tables' " +
		"owner or a role with BYPASSRLS (role-name, or the user of the connection string)"},
	{pgdump.ReadDenied, "the role may not read everything in the database: connect as the one that owns it " +
		"(role-name, or the user of the connection string), grant it pg_read_all_data, or leave the object out with " +
		"pg-dump-args: --exclude-table=… or --exclude-schema=…"},
	{pgdump.LockWait, "another session, such as a migration, kept a table locked for too long: run at a quieter " +
		"hour, or wait longer with pg-dump-args: --lock-wait-timeout=10min"},
	{pgdump.StatementLockWait, "another session, such as a migration, holds a lock on a table: run at a quieter hour"},
	{pgdump.DiskFull, "a disk is full: the server's own, or this machine's"},
	{pgdump.NotFound, "what it names is not there: correct database-name, role-name, pg-dump-args or the connection " +
		"string"},
	{pgdump.DumpLocks, "pg_dump locks every table at once, and the server has no room for so many locks: raise " +
		"max_locks_per_transaction there and restart it (on Neon, a larger compute has room for more), lower " +
		"concurrency if tenants share the server, or back the schemas up one by one with tenant-source: schemas"},
	{pgdump.SessionTerminated, "the server ended the session (a restart, a suspended compute, an administrator): run " +
		"again"},
	{pgdump.ServerClosed, "the connection was lost: run again; a server that restarts or is short of memory ends " +
		"sessions like this"},
	{pgdump.ConnectionLost, "the connection was lost: run again"},

	// Restoring.
	{pgdump.NewerSetting, "the backup was made by a newer major than the target's: restore it into a server of the " +
		"same major"},
	{pgdump.ExtensionMissing, "the target lacks an extension that the backup uses: install it there"},
	{pgdump.AlreadyExists, "the target has an object of that name: empty it, or set overwrite: true"},
	{pgdump.StillExists, "nothing was changed; what the target held was dropped, except its extensions, so the name is " +
		"an extension's: drop that extension in the target, or restore into a new database"},
	{pgdump.CreateDenied, "the role may not create everything that the backup holds: restore as the database's owner"},
	{pgdump.OwnershipDenied, "the role may not change everything that the backup holds: restore as the database's " +
		"owner"},
	{pgdump.TargetLocked, "another session holds a lock on what the target holds: end it, or run at a quieter hour; " +
		"nothing was changed"},
	{pgdump.RestoreLocks, "nothing was changed; a restore is one transaction, which locks all that it creates or drops: " +
		"raise max_locks_per_transaction on the target's server and restart it (on Neon, a larger compute has room for " +
		"more), or restore into a server that has more room"},
	{pgdump.NotInTarget, "nothing was changed; the backup refers to something that it does not hold, as one of a single " +
		"schema or of some tables may: create that in the target first (extensions don't make it count as not empty), " +
		"then run again"},
	{pgdump.RestoreRolledBack, "nothing was changed: compare the target's version, extensions and settings with those " +
		"of the server that was backed up, or name an older backup with backup-key"},
	{pgdump.CommitUnknown, "look into the target: it holds the whole backup, or what it held before; if it is that, " +
		"run again"},
	{(*pgdump.NotEmptyError)(nil), "name an empty database, or set overwrite: true to drop what this one holds; " +
		"nothing was changed"},

	// Stored backups.
	{pgdump.UnusableBackup, "nothing was changed: name an older backup with backup-key, and find out what altered " +
		"this one"},
	{pgdump.EncryptedBackup, "give age-identity, the secret key (AGE-SECRET-KEY-1…) of one of the recipients it was " +
		"encrypted to"},
	{pgdump.OtherKey, "give age-identity, the secret key of one of the backup's recipients; nothing was changed"},
	{pgdump.NewerBackup, "restore it into a server of PostgreSQL {major}"},
	{pgdump.NewerArchive, "the backup was made by a newer major: restore it with that major, into a server of that " +
		"major"},

	// The bucket.
	{bucket.NoSuchBucket, "there is no bucket of this name: check s3-bucket, aws-region and s3-endpoint"},
	{bucket.OtherRegion, "the bucket is in {region}: give aws-region: {region}"},
	{bucket.UnknownRegion, "the bucket is in another region: check aws-region"},
	{bucket.ExposedEndpoint, "write https:// in s3-endpoint, or in AWS's own variable or file that names the endpoint; " +
		"http:// is for this machine and private networks"},
	{bucket.NoRegion, "give aws-region, or set AWS_REGION"},
	{bucket.UnknownAccessKey, "the store knows no such access key: AWS_ACCESS_KEY_ID was deleted, or is another " +
		"account's or another store's; store the key again, check s3-endpoint, or set role-to-assume in place of keys"},
	{bucket.WrongSecretKey, "AWS_SECRET_ACCESS_KEY does not belong to AWS_ACCESS_KEY_ID: store both again, without a " +
		"blank or a line break; with another store than AWS check aws-region and s3-path-style too"},
	{bucket.SessionEnded, "the session whose credentials these are has ended, and they cannot be renewed here: set " +
		"role-to-assume, so that the run renews its own, or have aws-actions/configure-aws-credentials run again right " +
		"before"},
	{bucket.WrongSessionToken, "AWS_SESSION_TOKEN does not belong to AWS_ACCESS_KEY_ID: set all three variables from " +
		"one place, or unset the token for a key that has none"},
	{bucket.ClockSkew, "this machine's clock and the store's differ too much: set this machine's clock"},
	{bucket.Denied, "let the role do {permission} on this bucket, in its own policy and in the bucket's"},
	{bucket.KeyDenied, "let the role use the key of s3-kms-key-id: kms:GenerateDataKey and kms:Decrypt"},
	{bucket.KeyUnusable, "check that the key of s3-kms-key-id exists in the bucket's region and is enabled"},
	{bucket.UnknownStorageClass, "check s3-storage-class: the store does not know it"},
	{bucket.NoEncryption, "the store cannot encrypt with a key that s3-kms-key-id names: leave it out, or set up a key " +
		"service in the store"},
	{bucket.NoObjectLock, "the bucket has no Object Lock: leave s3-object-lock-days out, or use a bucket that was made " +
		"with Object Lock"},
	{bucket.Unsupported, "the store does not support all that this request asks for: leave out those of s3-kms-key-id, " +
		"s3-storage-class and s3-object-lock-days that are set; if none is, check that s3-endpoint is an S3 store's"},
	{bucket.ObjectTooLarge, "the store takes no object of this size"},
	{bucket.TooManyParts, "the size of parts follows from the database's size, and the backup became much larger than " +
		"that: raise compression-level, or use a store that allows parts of unequal size"},
	{bucket.StoreFull, "the store is full: make room, or shorten retention-days"},
	{bucket.ObjectExists, "another run made a backup of this tenant in the same second: don't run two at once"},
	{bucket.ObjectReplaced, "the object was replaced while it was being read: find out what writes to it and run " +
		"again, or name another backup with backup-key; nothing was restored"},
	{bucket.ObjectDamaged, "find out what alters the object in the store, or on its way from there, such as a proxy, " +
		"and run again; to restore what is urgent, name another backup with backup-key"},
	{bucket.ObjectDiffers, "find out what alters objects in the store, or on their way there, such as a proxy, and run " +
		"again"},
	{bucket.ObjectOverwritten, "another run wrote the same object at the same moment: don't run two at once"},
	{bucket.NoRanges, "the connection broke, and this store cannot go on from there: run again on a steadier network, " +
		"or set s3-endpoint to a store that supports ranges"},
	{bucket.ObjectArchived, "the object is in an archive, through s3-storage-class (GLACIER, DEEP_ARCHIVE) or a " +
		"lifecycle rule, and takes hours to come back: have the store restore it and its manifest (aws s3api " +
		"restore-object), then run again"},
	{bucket.ServerError, "the store has a problem, which is usually temporary: run again later"},
	{bucket.UnknownAuthority, "the store's certificate is signed by an authority that is not known here: name a file " +
		"with the authority's certificate in AWS_CA_BUNDLE"},
	{bucket.Unreachable, "the store could not be reached, or stopped answering: check s3-endpoint, aws-region and " +
		"the runner's network"},

	// AWS credentials.
	{bucket.NoCredentials, "set role-to-assume to the role's ARN (a variable or a secret that does not exist gives " +
		"an empty text), with permissions: id-token: write; or let aws-actions/configure-aws-credentials run before, " +
		"or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"},
	{bucket.NoSuchProfile, "AWS_PROFILE names it, or a profile's source_profile does, and this machine does not have " +
		"it: unset or correct that; in a job, set role-to-assume, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"},
	{bucket.BadConfiguration, "correct or unset the variable of AWS's that names what the message is about " +
		"(AWS_PROFILE, AWS_CONFIG_FILE, AWS_SHARED_CREDENTIALS_FILE, AWS_CA_BUNDLE, AWS_CONTAINER_CREDENTIALS_FULL_URI)"},
	{bucket.SourceFailed, "AWS's variables and files name a source of credentials that gave none: correct or unset what " +
		"the message is about; in a job, set role-to-assume with permissions: id-token: write, or let " +
		"aws-actions/configure-aws-credentials run before"},
	{bucket.UntrustedJob, "the role's trust policy does not let this job in: check that it names the identity " +
		"provider token.actions.githubusercontent.com, the audience {audience}, and this repository in sub, as " +
		"repo:OWNER/REPO:… or, for repositories made or renamed after 15 July 2026, repo:OWNER@ID/REPO@ID:…; jobs " +
		"with an environment have a sub that ends in :environment:NAME"},
	{bucket.NoIdentityProvider, "AWS does not accept the job's token: create an identity provider in this AWS account " +
		"for https://token.actions.githubusercontent.com with the audience {audience}"},
	{bucket.TokenExpired, "the token service considers the job's token expired: check the runner's clock"},
	{bucket.InvalidRoleSession, "check the form of role-to-assume and role-session-name, and that " +
		"role-duration-seconds is at least 900 and at most the role's maximum session duration"},
	{bucket.TokenServiceInactive, "activate the token service for this region in the account's IAM settings, or " +
		"choose another aws-region"},
}
