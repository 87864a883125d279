package backup

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"time"

	"github.com/org/neon-tenants-action/internal/catalog"
	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/input"
	"github.com/org/neon-tenants-action/internal/mode"
	"github.com/org/neon-tenants-action/internal/postgres"
	"github.com/org/neon-tenants-action/internal/records"
	"github.com/org/neon-tenants-action/internal/remedies"
)

// ToTimeDetail is what the report file says about a tenant in mode restore with restore-to-time.
type ToTimeDetail struct {
	RestoredTo    time.Time `json:"restored_to"`
	Target        string    `json:"target"`              // branch, or own-branch if the tenant's own was replaced
	TargetID      string    `json:"target_id,omitempty"` // of that branch
	Branch        string    `json:"branch,omitempty"`    // its name
	PreservedAs   string    `json:"preserved_as,omitempty"`
	SchemaVersion string    `json:"schema_version,omitempty"`
}

const (
	newBranch = "branch"
	ownBranch = "own-branch"
)

// toTime takes one tenant's branch to a moment of Neon's own history.
type toTime struct {
	env      mode.Env
	brancher fleet.Brancher
	conns    *mode.Connections
	table    postgres.Ledger
	// lockTimeout is how long to wait for a run that migrates the tenant.
	lockTimeout time.Duration
	at          time.Time
	confirm     string      // the tenant whose own branch is replaced; empty: a new branch is made
	store       *mode.Store // nil: without the inputs about the bucket, no backup is named
}

// newToTime reads the inputs of mode restore with restore-to-time.
func newToTime(in *input.Reader, env mode.Env) mode.Work {
	r := &toTime{
		env: env, conns: mode.NewConnections(env, mode.Changes), confirm: in.String("confirm"),
		table: env.ReadLedger(in), lockTimeout: in.Duration("lock-timeout"),
		at: input.Parse(in, "restore-to-time", func(text string) (time.Time, error) {
			return parseMoment(text, time.Now())
		}),
	}
	r.brancher, _ = mode.Able[fleet.Brancher](in, env, "restore-to-time",
		"this source has no history to go back in; restore a backup")
	for _, name := range []string{"backup-key", "restore-url", "overwrite", "age-identity"} {
		if in.Given(name) {
			in.Mistake(name, "is about restoring a backup, and restore-to-time takes Neon's own history instead; give one of "+
				"the two")
		}
	}
	switch into := in.Choice("restore-into", "new-project", "branch"); {
	case into == "new-project":
		in.Mistake("restore-into", "a project's history stays in the project; with restore-to-time, give branch, or "+
			"leave it out")
	case into == "branch" && r.confirm != "":
		in.Mistake("confirm", "is given to replace the tenant's own branch, and restore-into: branch makes a new one; leave "+
			"one of the two out")
	}
	text := in.String("restore-to-time")
	if _, err := parseAgo(text); err == nil && r.confirm != "" && !r.at.IsZero() {
		in.Mistake("restore-to-time", "%q is another moment whenever the run is started, so that a repeated run would "+
			"restore once more; with confirm, give the moment: %s", text, r.at.Truncate(time.Second).Format(time.RFC3339))
	}
	if in.String("s3-bucket") != "" {
		r.store = mode.ReadStore(in)
	}
	return mode.Work{Prepare: r.prepare, Job: r.run, Finish: r.finish, Close: r.close, Facts: toTimeFacts}
}

// finish tells what the restore took of Neon.
func (r *toTime) finish(_ context.Context, results []fleet.Result) (e mode.Ending, _ error) {
	for _, one := range results {
		d, _ := one.Outcome.Detail.(ToTimeDetail)
		if one.State != fleet.Unchanged && (d.PreservedAs != "" || d.Target == newBranch && d.TargetID != "") {
			e.Sections = costSection("1 branch", r.env)
		}
	}
	return e, nil
}

// parseAgo parses how long ago, such as 2h or 2h ago.
func parseAgo(text string) (time.Duration, error) {
	return input.ParseDuration(strings.TrimSpace(strings.TrimSuffix(text, " ago")))
}

// blankForT is the beginning of a time as ISO 8601 lets people write it.
var blankForT = regexp.MustCompile(`^(\d{4}-\d\d-\d\d) +(\d)`)

// parseMoment parses a time as in RFC 3339, with a blank for the T too, or a duration before now. It must have passed.
func parseMoment(text string, now time.Time) (time.Time, error) {
	if ago, err := parseAgo(text); err == nil {
		return now.Add(-ago).UTC(), nil
	}
	text = blankForT.ReplaceAllString(text, "${1}T$2")
	at, err := time.Parse(time.RFC3339Nano, text)
	if _, zoneless := time.Parse("2006-01-02T15:04:05", text); zoneless == nil {
		return time.Time{}, fmt.Errorf("%q lacks its zone; write %[1]sZ if that is UTC, or its offset in place of the Z, "+
			"such as +02:00", text)
	}
	switch {
	case err != nil:
		return time.Time{}, fmt.Errorf("%q is neither a time nor how long ago; write for example 2026-03-14T09:26:53Z or 2h",
			text)
	case at.After(now):
		return time.Time{}, fmt.Errorf("%s has not come yet; give a time that has passed, with its zone", text)
	}
	return at.UTC(), nil
}

func (r *toTime) prepare(ctx context.Context, found mode.Found) error {
	t, err := only(found)
	if err != nil {
		return err
	}
	if r.confirm != "" && r.confirm != t.Name && r.confirm != t.Key && r.confirm != t.ID {
		return fleet.WithRemedy(fmt.Errorf("confirm is %q, and the tenant whose branch would be replaced is %q (key %s)",
			r.confirm, t.Name, t.Key), "give its name or key as confirm; without confirm, the past goes into a new branch")
	}
	if r.store == nil {
		return nil
	}
	return r.store.Open(ctx, 1)
}

func (r *toTime) close() {
	r.conns.Close()
	if r.store != nil {
		r.store.Close()
	}
}

func (r *toTime) run(ctx context.Context, t fleet.Tenant, log *slog.Logger) (fleet.Outcome, error) {
	if err := r.brancher.CanBranch(t); err != nil {
		return fleet.Outcome{}, err
	}
	if r.confirm == "" {
		return r.intoBranch(ctx, t, log)
	}
	return r.replace(ctx, t, log)
}

// checkHistory refuses a time before Neon's history of the tenant's project begins.
func (r *toTime) checkHistory(ctx context.Context, t fleet.Tenant, log *slog.Logger) error {
	history, err := r.brancher.History(ctx, t)
	if err != nil {
		return err
	}
	begins := r.brancher.Now().Add(-history)
	if !r.at.Before(begins) {
		return nil
	}
	return fleet.WithRemedy(fmt.Errorf("%s is before Neon's history of the project, which begins at %s", moment(r.at),
		moment(begins)), r.insteadOf(ctx, t, log))
}

// insteadOf says what to do about a time that cannot be gone back to: it names the newest backup from before it.
func (r *toTime) insteadOf(ctx context.Context, t fleet.Tenant, log *slog.Logger) string {
	const noneNamed = "give a later time, or restore the newest backup from before it"
	if r.store == nil {
		return noneNamed + ", which this message names if s3-bucket and the inputs that go with it are given"
	}
	key, err := r.backupBefore(ctx, t, log)
	switch {
	case err != nil:
		return fmt.Sprintf("%s; which one that is could not be found out: %v", noneNamed, err)
	case key == "":
		return fmt.Sprintf("give a later time; there is no verified backup from before it in s3://%s/%s", r.store.Name(),
			r.store.Folder(t.Key))
	}
	return "restore its newest backup from before that time instead, without restore-to-time: backup-key: " + key
}

// backupBefore returns the key of the tenant's newest backup from before the time; empty if there is none that counts.
func (r *toTime) backupBefore(ctx context.Context, t fleet.Tenant, log *slog.Logger) (string, error) {
	listed, err := r.store.List(ctx, t.Key)
	if err != nil {
		return "", err
	}
	first := 0 // of those from before; the newest come first
	for first < len(listed) && listed[first].Time.After(r.at) {
		first++
	}
	target, err := mode.Resolve(ctx, r.env, t, log)
	if err != nil {
		log.Info("where the tenant is could not be found out, so its id alone tells its backups", "error", err)
	}
	found, _, err := r.store.Newest(ctx, listed[first:], mode.Owner(r.env, t, target))
	return found.Key, err
}

// moment writes a time for people and for the input.
func moment(at time.Time) string { return at.UTC().Format(time.RFC3339) }

// intoBranch makes a new branch of what the tenant was.
func (r *toTime) intoBranch(ctx context.Context, t fleet.Tenant, log *slog.Logger) (fleet.Outcome, error) {
	if err := r.checkHistory(ctx, t, log); err != nil {
		return fleet.Outcome{}, err
	}
	// The name is new even if two runs restore the same moment within a second.
	const layout = "20060102-150405"
	name := "restore/" + r.at.Format(layout) + "-at-" + time.Now().UTC().Format(layout) + "-" +
		strings.ToLower(rand.Text()[:6])
	d := ToTimeDetail{RestoredTo: r.at, Target: newBranch, Branch: name}
	if r.env.DryRun {
		return fleet.Outcome{Detail: d, Note: fmt.Sprintf("would be restored to %s, into a new branch", moment(r.at))}, nil
	}
	b, url, err := r.brancher.CreateBranch(ctx, t, fleet.BranchSpec{Name: name, At: r.at})
	if err != nil {
		return fleet.Outcome{}, r.refused(ctx, t, err, log)
	}
	d.TargetID = b.ID
	log.Info("created the branch", "name", b.Name, "id", b.ID)
	target, err := mode.Parse(r.env, url, log)
	if err != nil {
		return fleet.Outcome{Detail: d}, err
	}
	conn, release, err := r.conns.OpenTarget(ctx, t, target, log)
	if err == nil {
		defer release()
		d.SchemaVersion, err = r.version(ctx, conn)
	}
	if err != nil {
		return fleet.Outcome{Detail: d}, fmt.Errorf("look into the new branch %s: %w", name, err)
	}
	return fleet.Outcome{Detail: d, Note: fmt.Sprintf("new branch %s (%s), as of %s", name, b.ID,
		moment(r.at))}, nil
}

// refused is the error of a change that Neon has refused, with what to do in its place: a branch can be younger than
// its project's history, for example.
func (r *toTime) refused(ctx context.Context, t fleet.Tenant, err error, log *slog.Logger) error {
	err = fmt.Errorf("go back to %s: %w", moment(r.at), err)
	if ctx.Err() != nil || remedies.Of(err) != "" {
		return err
	}
	return fleet.WithRemedy(err, r.insteadOf(ctx, t, log))
}

// version is the highest version that a database records.
func (r *toTime) version(ctx context.Context, conn *postgres.Conn) (string, error) {
	status, err := postgres.ReadStatus(ctx, conn, r.table, postgres.NoLock)
	return status.Highest(), err
}

// only returns the one tenant that was selected.
func only(found mode.Found) (fleet.Tenant, error) {
	if len(found.Tenants) != 1 {
		return fleet.Tenant{}, fleet.WithRemedy(
			fmt.Errorf("tenants selects %d tenants, and restore works on exactly one", len(found.Tenants)),
			"name one tenant, such as tenants: acme-corp")
	}
	return found.Tenants[0], nil
}

// toTimeFacts returns the version that a tenant is at whose own branch was replaced.
func toTimeFacts(r fleet.Result) catalog.Facts {
	d, ok := r.Outcome.Detail.(ToTimeDetail)
	known := r.State == fleet.Succeeded || r.State == fleet.Unchanged
	if ok && d.Target != ownBranch {
		return catalog.Facts{}
	}
	nothing := &records.Record{} // is known of the tenant any more
	if !ok || !known || d.PreservedAs == "" {
		return catalog.Facts{Record: nothing}
	}
	return catalog.Facts{SchemaVersion: d.SchemaVersion, NoVersion: d.SchemaVersion == "", Record: nothing}
}
