package action

import (
	"context"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/org/neon-tenants-action/internal/bucket/buckettest"
	"github.com/org/neon-tenants-action/internal/mode/backup"
	"github.com/org/neon-tenants-action/internal/postgres/pgtest"
	"github.com/org/neon-tenants-action/internal/servertest"
)

// configured is an extension with a table whose rows pg_dump dumps in part, as PostGIS' spatial_ref_sys.
const configured = `create table settings (name text primary key, own bool);
	insert into settings values ('built in', false), ('built in, too', false);
	select pg_extension_config_dump('settings', 'where own');
	create type kind as enum ('a', 'b');`

func TestVerificationWithAnExtensionsTables(t *testing.T) {
	servertest.Long(t)
	f, v := newFleet(t), newVault(t)
	extension, remove := pgtest.Extension(t, configured)
	url := superuserURL(t, column(t, pgtest.Database(t), "select current_database()")[0])
	column(t, url, "create extension "+extension+"; insert into settings values ('mine', true); "+
		"create table t (k kind); insert into t values ('a'); select 1")
	urls := map[string]string{"a": url}
	for _, format := range []string{"plain", "custom"} {
		o := f.run(t, t.Context(), secretTenants(t, v, urls, "backup-format="+format, "s3-prefix="+format)...)
		o.counts(t, 1, 0, 0, 0)
		m := v.manifest(t, o.outputs["backup-key"])
		same(t, "compared", m.Verified.Compared,
			"1 row in 1 table, counted in the database and in the dump; of 1 table only what the server took")
		// The extension's own rows stay, the user's are replaced.
		target := superuserURL(t, column(t, pgtest.Database(t), "select current_database()")[0])
		column(t, target, "create extension "+extension+"; insert into settings values ('mine', true), ('gone', true); "+
			"select 1")
		restore := v.inputs("neon-api-key=", "mode=restore", "tenant-source=secrets", "s3-prefix="+format, "overwrite=true",
			"tenant-secrets="+string(mustJSON(t, map[string]string{"A_DATABASE_URL": url})), "restore-url="+target)
		f.run(t, t.Context(), restore...).counts(t, 1, 0, 0, 0)
		same(t, "settings", column(t, target, "select name from settings order by name"),
			[]string{"built in", "built in, too", "mine"})
	}
	remove() // the server of the throwaway databases does not have it
	o := f.run(t, t.Context(), secretTenants(t, v, urls, "s3-prefix=lacking")...)
	o.counts(t, 0, 0, 1, 0)
	o.says(t, "is whole and counts as with verify: stream, but could not be restored",
		"install the extension on the server of verify-database-url")
	if d := detail[backup.Detail](t, o, "a"); d.Verified != "stream" || v.manifest(t, d.Key).Verified.Problem == "" {
		t.Errorf("%+v", d)
	}
}

// Whether a backup that could not be restored counts, stays or goes depends on what that proves.
func TestVerificationThatFails(t *testing.T) {
	f, v := newFleet(t), newVault(t)
	good, bad := pgtest.Database(t), pgtest.Database(t)
	column(t, good, "create table t as select generate_series(1, 1000) i; select 1")
	column(t, bad, `create function fits(i int) returns bool language sql as 'select true';
		create table t (i int check (fits(i))); insert into t values (1);
		create or replace function fits(i int) returns bool language sql as 'select false'; select 1`)
	alter := make(chan func(), 1)
	nowhere := "verify-database-url=" + refusing(t, alter)

	o := f.run(t, t.Context(), secretTenants(t, v, map[string]string{"a": good}, nowhere, "s3-prefix=unproved")...)
	o.counts(t, 0, 0, 1, 0)
	o.says(t, "is whole and counts as with verify: stream, but could not be restored",
		"for the server of verify-database-url: the role or its password is wrong")
	d := detail[backup.Detail](t, o, "a")
	if m := v.manifest(t, d.Key); m.Verified.How != "stream" || m.Verified.Problem == "" ||
		o.outputs["backup-key"] != d.Key {
		t.Errorf("%+v", m.Verified)
	}
	kept := v.keys(t)

	o = f.run(t, t.Context(), secretTenants(t, v, map[string]string{"a": bad}, "s3-prefix=refused")...)
	o.counts(t, 0, 0, 1, 0)
	o.says(t, "is what was dumped, but cannot be restored as it is; it stays in the bucket without a manifest",
		"t_i_check")
	added := slices.DeleteFunc(v.keys(t), func(key string) bool { return slices.Contains(kept, key) })
	if len(added) != 1 || !strings.HasPrefix(added[0], "refused/a/") || o.outputs["backup-key"] != "" {
		t.Errorf("kept %v, %v", added, o.outputs)
	}
	kept = v.keys(t)

	alter <- func() {
		for _, key := range v.keys(t) {
			if strings.HasPrefix(key, "damaged/") {
				v.putText(t, key, "something else")
			}
		}
	}
	o = f.run(t, t.Context(), secretTenants(t, v, map[string]string{"a": good}, nowhere, "s3-prefix=damaged")...)
	o.counts(t, 0, 0, 1, 0)
	o.says(t, "is not what was dumped, and was deleted", "find out what altered it")
	same(t, "the bucket", v.keys(t), kept)
}

// Bytes that contradict the store's own checksum are proven damage, whatever else cannot be read of them.
func TestVerificationOfWhatTheStoreDamaged(t *testing.T) {
	f, v := newFleet(t), newVault(t)
	url := pgtest.Database(t)
	column(t, url, "create table t as select repeat('x', 1000) x from generate_series(1, 100); select 1")
	proxy := buckettest.StartFaultProxy(t, v.Server)
	proxy.Inject(buckettest.Fault{Operation: "GetObject", Way: buckettest.DamageBody})
	o := f.run(t, t.Context(), secretTenants(t, v, map[string]string{"a": url}, "s3-endpoint="+proxy.URL)...)
	o.counts(t, 0, 0, 1, 0)
	o.says(t, "is not what was dumped, and was deleted", "damaged in the store or in transit")
	same(t, "the bucket", len(v.keys(t)), 0)
}

// A backup whose manifest cannot be written is deleted, and is not said to count.
func TestVerificationWithoutAManifest(t *testing.T) {
	f, v := newFleet(t), newVault(t)
	url := pgtest.Database(t)
	proxy := buckettest.StartFaultProxy(t, v.Server)
	proxy.Inject(buckettest.Fault{Operation: "PutObject", Nth: 2})
	o := f.run(t, t.Context(), secretTenants(t, v, map[string]string{"a": url}, "s3-endpoint="+proxy.URL,
		"verify-database-url="+refusing(t, make(chan func())))...)
	o.counts(t, 0, 0, 1, 0)
	o.says(t, "before that, the upload could not be restored for verification")
	if strings.Contains(o.log, "is whole and counts") {
		t.Errorf("it does not count: %s", o.log)
	}
	same(t, "the bucket", len(v.keys(t)), 0)
}

// refusing is the URL of a server that refuses the password, after the next of these functions has run.
func refusing(t *testing.T, before chan func()) string {
	t.Helper()
	s := pgtest.Shared(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	t.Cleanup(func() { _ = listener.Close(); <-done })
	go func() {
		defer close(done)
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			select {
			case do := <-before:
				do()
			default:
			}
			server, err := net.Dial("tcp", net.JoinHostPort(s.Host, strconv.Itoa(s.Port)))
			if err != nil {
				_ = client.Close()
				continue
			}
			go func() { _, _ = io.Copy(server, client); _ = server.Close() }()
			go func() { _, _ = io.Copy(client, server); _ = client.Close() }()
		}
	}()
	return "postgres://nobody:wrong@" + listener.Addr().String() + "/postgres?sslmode=require"
}

// A subscription in the dump keeps no throwaway database alive.
func TestVerificationWithASubscription(t *testing.T) {
	f, v := newFleet(t), newVault(t)
	database := column(t, pgtest.Database(t), "select current_database()")[0]
	url := superuserURL(t, database)
	column(t, url, `create subscription "S" connection 'host=nowhere.invalid' publication p
		with (connect = false, slot_name = 'kept')`)
	defer func() {
		column(t, url, `alter subscription "S" set (slot_name = none)`)
		column(t, url, `drop subscription "S"`)
	}()
	verifyOn := verifier(t)
	o := f.run(t, t.Context(),
		secretTenants(t, v, map[string]string{"a": url}, "verify-database-url="+verifyOn)...)
	o.counts(t, 1, 0, 0, 0)
	same(t, "left behind", scratchesOf(t, verifyOn), []string{})
}

// A run that is cancelled while it verifies leaves the backup as one that was not verified by restore.
func TestVerificationThatIsCancelled(t *testing.T) {
	f, v := newFleet(t), newVault(t)
	url := pgtest.Database(t)
	column(t, url, `create function fits(i int) returns bool language sql as 'select true';
		create table t (i int check (fits(i))); insert into t values (1);
		create or replace function fits(i int) returns bool language sql as 'select pg_sleep(600) is not null'; select 1`)
	verifyOn := verifier(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	asked := make(chan struct{})
	go func() {
		defer close(asked)
		defer cancel()
		asleep := `select 1 from pg_stat_activity where wait_event = 'PgSleep' and usename = current_user`
		for ctx.Err() == nil && len(column(t, verifyOn, asleep)) == 0 {
			time.Sleep(10 * time.Millisecond)
		}
	}()
	o := f.run(t, ctx, secretTenants(t, v, map[string]string{"a": url}, "verify-database-url="+verifyOn)...)
	cancel()
	<-asked
	o.says(t, "is whole and counts as with verify: stream, but could not be restored")
	d := detail[backup.Detail](t, o, "a")
	if m := v.manifest(t, d.Key); m.Verified.How != "stream" || m.Verified.Problem == "" {
		t.Errorf("%+v", m.Verified)
	}
	same(t, "left behind", scratchesOf(t, verifyOn), []string{})
}
