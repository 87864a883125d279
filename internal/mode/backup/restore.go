package backup

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"filippo.io/age"

	"github.com/org/neon-tenants-action/internal/backups"
	"github.com/org/neon-tenants-action/internal/bucket"
	"github.com/org/neon-tenants-action/internal/catalog"
	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/input"
	"github.com/org/neon-tenants-action/internal/mode"
	"github.com/org/neon-tenants-action/internal/pgdump"
	"github.com/org/neon-tenants-action/internal/postgres"
	"github.com/org/neon-tenants-action/internal/records"
	"github.com/org/neon-tenants-action/internal/report"
	"github.com/org/neon-tenants-action/internal/words"
)

// RestoreDetail is what the report file says about a tenant in mode restore.
type RestoreDetail struct {
	Key           string         `json:"key"`
	Target        string         `json:"target"`              // url, new-project or branch
	TargetID      string         `json:"target_id,omitempty"` // of the new project or branch
	TargetName    string         `json:"target_name,omitempty"`
	StoredSize    int64          `json:"stored_size"` // bytes
	StoredSHA256  string         `json:"stored_sha256"`
	SchemaVersion string         `json:"schema_version,omitempty"`
	Tables        []RestoredRows `json:"tables"`
}

// RestoredRows is how many rows a table has after the restore, -1 if the role may not see them all.
type RestoredRows struct {
	Table string `json:"table"`
	Rows  int64  `json:"rows"`
}

// restore restores one tenant.
type restore struct {
	env        mode.Env
	store      *mode.Store
	key        string             // or a name in the tenant's folder; empty: the newest verified backup
	target     postgres.Target    // zero: into says what to create
	into       string             // new-project, branch or empty
	maker      fleet.ProjectMaker // with into: new-project
	brancher   fleet.Brancher     // with into: branch
	overwrite  bool
	identities []age.Identity
	present    map[string]string // ids of the listed tenants, by the folder that is theirs now

	table postgres.Ledger
	// lockTimeout is how long to wait for a run that migrates or backs up the target.
	lockTimeout time.Duration
}

// NewRestore reads the inputs of mode restore.
func NewRestore(in *input.Reader, env mode.Env) mode.Work {
	if in.String("restore-to-time") != "" {
		return newToTime(in, env)
	}
	r := &restore{
		env: env, store: mode.ReadStore(in), key: readKey(in),
		into: in.Choice("restore-into", "new-project", "branch"), overwrite: in.Bool("overwrite"),
		table: env.ReadLedger(in), lockTimeout: in.Duration("lock-timeout"),
	}
	switch given := in.String("restore-url") != ""; {
	case given && r.into != "":
		in.Mistake("restore-into", "contradicts restore-url; give one of the two")
	case given:
		r.target = readTarget(in, env, "restore-url", in.Secret("restore-url"))
	case in.String("restore-into") == "": // a misspelt one is a mistake of its own
		in.Mistake("restore-url", "is required here and is empty; "+
			"give the target's connection string as a secret, or restore-into: new-project or branch")
	}
	r.identities = readIdentities(in)
	if _, ok := env.Source.(fleet.SchemaHost); ok && r.overwrite {
		in.Mistake("overwrite", "would drop everything in the target database, which with tenant-source: schemas may "+
			"hold every other tenant; leave it out and restore into an empty database")
	}
	const unable = "this source cannot create projects or branches; give restore-url"
	switch r.into {
	case "new-project":
		r.maker, _ = mode.Able[fleet.ProjectMaker](in, env, "restore-into", unable)
	case "branch":
		r.brancher, _ = mode.Able[fleet.Brancher](in, env, "restore-into", unable)
	}
	return mode.Work{Prepare: r.prepare, Job: r.run, Finish: r.finish, Close: r.store.Close, Facts: restoreFacts}
}

func (r *restore) prepare(ctx context.Context, found mode.Found) error {
	if _, err := only(found); err != nil {
		return err
	}
	if mode.RefuseCatalog(r.env, r.target) != nil {
		return fleet.WithRemedy(errors.New("restore-url is the catalog's own database (catalog-url), which no tenant's "+
			"backup replaces"), "give another database")
	}
	r.present = map[string]string{}
	for _, t := range found.All {
		r.present[t.Key] = t.ID
	}
	return r.store.Open(ctx, 1)
}

// finish returns the output backup-key, and tells what the restore took of Neon.
func (r *restore) finish(_ context.Context, results []fleet.Result) (e mode.Ending, _ error) {
	if len(results) != 1 {
		return e, nil
	}
	d, ok := results[0].Outcome.Detail.(RestoreDetail)
	if !ok {
		return e, nil
	}
	e.Outputs = map[string]string{"backup-key": d.Key}
	if d.TargetID != "" {
		e.Sections = costSection("1 "+strings.TrimPrefix(d.Target, "new-"), r.env)
	}
	return e, nil
}

// costSection tells what a restore made in Neon.
func costSection(made string, env mode.Env) []report.Section {
	b, ok := env.Source.(fleet.Brancher)
	if !ok {
		return nil
	}
	return []report.Section{{Title: "Cost", Lines: []string{mode.BranchCost(made, b)}}}
}

func (r *restore) run(ctx context.Context, t fleet.Tenant, log *slog.Logger) (fleet.Outcome, error) {
	s, warnings, err := r.find(ctx, t, log)
	o := fleet.Outcome{Warnings: warnings}
	if err != nil {
		return o, err
	}
	if s.key.Encrypted && len(r.identities) == 0 {
		return o, errEncrypted(s)
	}
	d := RestoreDetail{
		Key: s.key.String(), Target: cmp.Or(r.into, targetURL), SchemaVersion: s.manifest.SchemaVersion,
		Tables: []RestoredRows{},
	}
	if arg := backups.ForeignData(s.manifest.Args); arg != "" {
		warning := fmt.Sprintf("%s was made with %s: whoever loads it sends the rows of foreign tables to their servers "+
			"once more", s.key, arg)
		o.Warnings = append(o.Warnings, warning)
		log.Warn(warning) // now, while it can be stopped
	}
	if r.env.DryRun {
		_, _, err := r.check(ctx, s, &d)
		if err == nil {
			o.Detail = d
			o.Note = fmt.Sprintf("%s of %s is whole", words.Size(d.StoredSize), s.key.Time.Format(time.DateTime))
		}
		return o, err
	}
	restored, err := r.load(ctx, t, s, &d, log)
	if err != nil {
		o.Detail = d
		return o, err
	}
	for _, table := range restored.Tables {
		d.Tables = append(d.Tables, RestoredRows{table.Table, table.Rows})
	}
	if _, err := restored.Compare(nil); err != nil { // no error: others may write to the target already
		o.Warnings = append(o.Warnings, "after the restore "+err.Error())
	}
	o.Detail, o.Note = d, d.note(s.key.Time)
	return o, nil
}

// load loads a backup into the target. It reads the stored bytes twice: damage is found before anything is created,
// dropped or loaded, and the second read accepts only the very object that was found whole.
func (r *restore) load(
	ctx context.Context, t fleet.Tenant, s source, d *RestoreDetail, log *slog.Logger,
) (restored pgdump.Restored, err error) {
	format, compression := encodingOf(s.key.Kind)
	options := pgdump.RestoreOptions{
		Major: s.key.Major, Format: format, Compression: compression, Identities: r.identities,
		WantSHA256: s.manifest.StoredSHA256, Log: log,
		Overwrite: r.overwrite || r.into != "", // a new project or branch holds nobody's work
	}
	target := r.target
	if r.into == "" {
		if err := pgdump.CheckTarget(ctx, target, options); err != nil {
			return restored, err
		}
		options.Begin = r.lock(t, log)
	}
	object, checked, err := r.check(ctx, s, d)
	if err != nil {
		return restored, err
	}
	options.Relations = checked.Relations
	in, err := r.store.Reopen(ctx, object)
	if err != nil {
		return restored, err
	}
	defer func() { _ = in.Close() }() // what was read is verified before the restore is committed, and stands
	if r.into == "" {
		return pgdump.Restore(ctx, target, options, stored{in})
	}
	return r.loadInto(ctx, t, s.key, d, log, func(target postgres.Target) (pgdump.Restored, error) {
		return pgdump.Restore(ctx, target, options, stored{in})
	})
}

// lock keeps migrations away from the target until the restore has ended: it may be the tenant's own database. It takes
// the session that restores, so that a role with a single connection can restore too.
func (r *restore) lock(t fleet.Tenant, log *slog.Logger) func(context.Context, *postgres.Conn) error {
	table := r.table
	if schema := r.env.Schema(t); schema != "" {
		table = table.In(schema)
	}
	return func(ctx context.Context, conn *postgres.Conn) error {
		return lockMigrationsOut(ctx, conn, table, r.lockTimeout, log)
	}
}

// note sums up the restore of a backup from the given time.
func (d RestoreDetail) note(at time.Time) string {
	var rows int64
	for _, table := range d.Tables {
		rows += max(0, table.Rows)
	}
	note := fmt.Sprintf("%s in %s from %s", words.Count(int(rows), "row", "rows"),
		words.Count(len(d.Tables), "table", "tables"), at.Format(time.DateTime))
	if d.TargetID != "" {
		note += fmt.Sprintf(" into %s %s (%s)", strings.ReplaceAll(d.Target, "-", " "), d.TargetName, d.TargetID)
	}
	return note
}

// check reads the backup to its end, which proves that the object is whole, and changes nothing.
func (r *restore) check(ctx context.Context, s source, d *RestoreDetail) (
	_ bucket.Object, checked pgdump.Checked, err error,
) {
	in, err := r.store.Get(ctx, s.key.String())
	if err != nil {
		return bucket.Object{}, checked, err
	}
	defer func() { _ = in.Close() }()
	format, compression := encodingOf(s.key.Kind)
	checked, err = pgdump.Check(ctx, stored{in}, pgdump.CheckOptions{
		Format: format, Compression: compression, Identities: r.identities,
		WantSHA256: s.manifest.StoredSHA256, Major: s.key.Major,
	})
	d.StoredSize, d.StoredSHA256 = checked.StoredSize, checked.StoredSHA256
	return in.Object, checked, explainKey(err, s.manifest)
}

// targetURL is the target of a restore into a connection string.
const targetURL = "url"

// restoreFacts returns which backup was proved by its restore, without the version, which is the backup's and not the
// tenant's.
func restoreFacts(r fleet.Result) catalog.Facts {
	d, ok := r.Outcome.Detail.(RestoreDetail)
	f := catalog.Facts{}
	if !ok || d.Target == targetURL { // which may be the tenant's own database
		f.Record = &records.Record{}
	}
	if ok && r.State == fleet.Succeeded {
		f.RestoredKey, f.RestoredAt = d.Key, r.Started.Add(r.Elapsed)
	}
	return f
}
