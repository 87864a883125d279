package action

import (
	"testing"

	"github.com/org/neon-tenants-action/internal/postgres/pgtest"
)

// Through a pooler in session mode, which takes no setting in the startup message, pg_dump gets none from us. One in
// the connection string is the user's to take out.
func TestABackupThroughPgBouncer(t *testing.T) {
	f, v := newFleet(t), newVault(t)
	backUp := func(tenant, url string) outcome { // keys tell seconds, so each backup has a folder of its own
		return f.run(t, t.Context(), v.inputs("mode=backup", "neon-api-key=", "tenant-source=secrets",
			"tenant-secrets="+string(mustJSON(t, map[string]string{tenant + "_DATABASE_URL": url})))...)
	}
	url := pgtest.PgBouncer(t, pgtest.Database(t), "session")
	backUp("ONE", url).counts(t, 1, 0, 0, 0)
	o := backUp("TWO", url+"&options=-cwork_mem%3D64MB")
	o.counts(t, 0, 0, 1, 0)
	o.says(t, "unsupported startup parameter", "or take the setting out")
	ignoring := pgtest.PgBouncer(t, pgtest.Database(t), "session", "ignore_startup_parameters = options")
	backUp("THREE", ignoring).counts(t, 1, 0, 0, 0)
}
