package action

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/org/neon-tenants-action/internal/servertest"
)

// A write is never taken for the backup's own activity, however soon it comes: not during the dump, nor right after it,
// nor from a transaction that was begun before.
func TestSkipUnchangedMissesNoWrite(t *testing.T) {
	servertest.Long(t)
	f, v := newFleet(t, named("a")...), newVault(t)
	f.run(t, t.Context()).counts(t, 1, 0, 0, 0)
	backUp := func(unchanged int, inputs ...string) string {
		t.Helper()
		time.Sleep(time.Second) // keys tell seconds
		o := f.run(t, t.Context(), v.inputs(append(inputs, "mode=backup", "skip-unchanged=true")...)...)
		o.counts(t, 1-unchanged, unchanged, 0, 0)
		return o.outputs["backup-key"]
	}
	used := func(after time.Duration, key string) {
		t.Helper()
		q := v.manifest(t, key).Quiet
		if q == nil {
			t.Fatalf("%s does not prove that nothing was written", key)
		}
		f.Use(f.projects[0].ID, q.Until.Add(after))
	}
	key := backUp(0)
	used(0, key)
	backUp(1)
	// Close to the backup the activity may have been the backup's own: the server tells.
	used(30*time.Second, key)
	backUp(1)
	query(t, f.projects[0], "insert into users (email, name) values ('late@x', 'n')")
	key = backUp(0)
	// Later activity is somebody's, whatever it was.
	used(2*time.Minute, key)
	key = backUp(0)
	// A transaction that is open has written something, and may commit it at any time.
	conn, err := pgx.Connect(t.Context(), f.projects[0].URL)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	if _, err := conn.Exec(t.Context(), "begin; insert into users (email, name) values ('open@x', 'n')"); err != nil {
		t.Fatal(err)
	}
	used(time.Second, key)
	key = backUp(0)
	if q := v.manifest(t, key).Quiet; q != nil {
		t.Errorf("with an open transaction it is proved that nothing was written: %+v", q)
	}
	if _, err := conn.Exec(t.Context(), "commit"); err != nil {
		t.Fatal(err)
	}
	key = backUp(0) // the one before proves nothing
	used(0, key)
	backUp(1)
}

// While somebody writes all the time, no backup proves anything, so the next run makes another.
func TestSkipUnchangedAfterWritesDuringTheDump(t *testing.T) {
	servertest.Long(t)
	f, v := newFleet(t, named("a")...), newVault(t)
	f.run(t, t.Context()).counts(t, 1, 0, 0, 0)
	conn, err := pgx.Connect(t.Context(), f.projects[0].URL)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	stop, stopped := make(chan struct{}), make(chan error)
	go func() {
		for {
			select {
			case <-stop:
				stopped <- nil
				return
			default:
			}
			if _, err := conn.Exec(context.Background(),
				"insert into users (email, name) values (md5(random()::text), 'n')"); err != nil {
				stopped <- err
				return
			}
		}
	}()
	o := f.run(t, t.Context(), v.inputs("mode=backup")...)
	close(stop)
	if err := <-stopped; err != nil {
		t.Fatal(err)
	}
	o.counts(t, 1, 0, 0, 0)
	if q := v.manifest(t, o.outputs["backup-key"]).Quiet; q != nil {
		t.Errorf("the manifest says %+v", q)
	}
	time.Sleep(time.Second) // keys tell seconds
	f.run(t, t.Context(), v.inputs("mode=backup", "skip-unchanged=true")...).counts(t, 1, 0, 0, 0)
}
