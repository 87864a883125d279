package backup

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"filippo.io/age"

	"github.com/org/neon-tenants-action/internal/backups"
	"github.com/org/neon-tenants-action/internal/catalog"
	"github.com/org/neon-tenants-action/internal/compress"
	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/input"
	"github.com/org/neon-tenants-action/internal/mode"
	"github.com/org/neon-tenants-action/internal/pgdump"
	"github.com/org/neon-tenants-action/internal/postgres"
	"github.com/org/neon-tenants-action/internal/words"
)

// RestoreDetail is what the report file says of a restored tenant.
type RestoreDetail struct {
	Key           string         `json:"key"`
	Target        string         `json:"target"`              // url, new-project or branch
	TargetID      string         `json:"target_id,omitempty"` // of the new project or branch
	StoredSize    int64          `json:"stored_size"`         // bytes
	StoredSHA256  string         `json:"stored_sha256"`
	SchemaVersion string         `json:"schema_version,omitempty"`
	Tables        []RestoredRows `json:"tables"`
}

// RestoredRows is how many rows a table has after the restore; -1 where the role may not see them all.
type RestoredRows struct {
	Table string `json:"table"`
	Rows  int64  `json:"rows"`
}

// restore is the mode, its inputs read.
type restore struct {
	env        mode.Env
	store      *mode.Store
	key        string          // empty: the newest verified one
	target     postgres.Target // zero: into says what to create
	into       string
	maker      fleet.ProjectMaker // where into is set
	overwrite  bool
	identities []age.Identity
}

// NewRestore reads the inputs of mode restore.
func NewRestore(in *input.Reader, env mode.Env) mode.Work {
	r := &restore{
		env: env, store: mode.ReadStore(in), key: in.String("backup-key"), into: in.Choice("restore-into", "new-project", "branch"),
		overwrite: in.Bool("overwrite"),
	}
	switch given := in.String("restore-url") != ""; {
	case given && r.into != "":
		in.Mistake("restore-into", "contradicts restore-url; give one of the two")
	case given:
		r.target = readTarget(in, env, "restore-url", in.Secret("restore-url"))
	case r.into == "":
		in.Mistake("restore-url", "is required here and is empty; give the target's connection string as a secret, or restore-into: new-project or branch")
	}
	if in.String("age-identity") != "" {
		identities, err := age.ParseIdentities(strings.NewReader(in.Secret("age-identity")))
		if err != nil {
			in.Mistake("age-identity", "is no age identity; give the secret key that begins with AGE-SECRET-KEY-1")
		}
		r.identities = identities
	}
	if _, ok := env.Source.(fleet.SchemaHost); ok && r.overwrite {
		in.Mistake("overwrite", "would drop all that the target database holds, and with tenant-source: schemas that may be every other tenant; leave it out and restore into an empty database")
	}
	if r.into != "" {
		r.maker, _ = mode.Able[fleet.ProjectMaker](in, env, "restore-into", "this source cannot create projects or branches; give restore-url")
	}
	return mode.Work{Prepare: r.prepare, Job: r.run, Finish: restoredKey, Close: r.store.Close, Facts: restoreFacts}
}

func (r *restore) prepare(ctx context.Context, found mode.Found) error {
	if len(found.Tenants) != 1 {
		return fleet.WithRemedy(fmt.Errorf("tenants selects %d tenants, and restore works on exactly one", len(found.Tenants)), "name one tenant, such as tenants: acme-corp")
	}
	return r.store.Open(ctx, 1)
}

func restoredKey(_ context.Context, results []fleet.Result) (mode.Ending, error) {
	if len(results) == 1 {
		if d, ok := results[0].Outcome.Detail.(RestoreDetail); ok {
			return mode.Ending{Outputs: map[string]string{"backup-key": d.Key}}, nil
		}
	}
	return mode.Ending{}, nil
}

// chosen is the backup to restore, with what its manifest says; without one the manifest is zero.
type chosen struct {
	key      backups.Key
	size     int64
	manifest backups.Manifest
}

func (r *restore) run(ctx context.Context, t fleet.Tenant, log *slog.Logger) (fleet.Outcome, error) {
	c, warnings, err := r.choose(ctx, t)
	o := fleet.Outcome{Warnings: warnings}
	if err != nil {
		return o, err
	}
	if c.key.Encrypted && len(r.identities) == 0 {
		return o, fleet.WithRemedy(fmt.Errorf("the backup %s is encrypted", c.key), "give age-identity, the secret key of one of the recipients, as a secret")
	}
	d := RestoreDetail{Key: c.key.String(), Target: "url", SchemaVersion: c.manifest.SchemaVersion, Tables: []RestoredRows{}}
	if r.into != "" {
		d.Target = r.into
	}
	if r.env.DryRun {
		return r.rehearse(ctx, c, d, o)
	}
	target, overwrite := r.target, r.overwrite
	if r.into != "" {
		if d.TargetID, target, err = r.make(ctx, t, c, log); err != nil {
			return o, err
		}
		overwrite = true // nobody else's: it was made just now
	}
	in, err := r.store.Get(ctx, c.key.String())
	if err != nil {
		return o, err
	}
	defer func() { _ = in.Close() }()
	restored, err := pgdump.Restore(ctx, target, pgdump.RestoreOptions{
		Major: c.key.Major, Format: c.format(), Compression: c.compression(), Identities: r.identities, WantSHA256: c.manifest.StoredSHA256,
		Overwrite: overwrite, Log: log,
	}, in)
	if err != nil {
		o.Detail = d
		return o, errors.Join(err, in.Close())
	}
	var rows int64
	for _, table := range restored.Tables {
		d.Tables = append(d.Tables, RestoredRows{table.Table, table.Rows})
		rows += max(0, table.Rows)
	}
	d.StoredSize, d.StoredSHA256 = restored.StoredSize, restored.StoredSHA256
	o.Detail = d
	o.Note = fmt.Sprintf("%d rows in %d tables from %s", rows, len(d.Tables), c.key.Time.Format(time.DateTime))
	if d.TargetID != "" {
		o.Note += " into " + strings.ReplaceAll(d.Target, "-", " ") + " " + d.TargetID
	}
	return o, nil
}

// choose finds the backup: the named one, or the newest that is verified.
func (r *restore) choose(ctx context.Context, t fleet.Tenant) (chosen, []string, error) {
	folder := r.store.Folder(t.Key)
	existing, err := r.store.List(ctx, t.Key)
	if err != nil {
		return chosen{}, nil, err
	}
	found, ok := backups.NewestVerified(existing)
	if r.key != "" {
		ok = false
		for _, b := range existing {
			if b.Key == r.key {
				found, ok = b, true
			}
		}
	}
	if !ok {
		what, fix := fmt.Sprintf("there is no verified backup in s3://%s/%s", r.store.Name(), folder), "see whether s3-bucket, s3-prefix and tenant-key are those of the backup runs"
		if r.key != "" {
			what = fmt.Sprintf("there is no backup %s in s3://%s/%s", r.key, r.store.Name(), folder)
			fix = "give the whole key, as the report of the backup run or the bucket's listing has it, of a backup of this tenant"
		}
		return chosen{}, nil, fleet.WithRemedy(errors.New(what), fix)
	}
	key, _ := backups.ParseKey(folder, found.Key)
	c := chosen{key: key, size: found.Size}
	if !found.Verified {
		return c, []string{fmt.Sprintf("%s has no manifest: its backup run did not end well, and its SHA-256 cannot be compared", key)}, nil
	}
	c.manifest, err = r.store.Manifest(ctx, found.Key)
	return c, nil, err
}

func (c chosen) format() pgdump.Format {
	if c.key.Kind == backups.Custom {
		return pgdump.Custom
	}
	return pgdump.Plain
}

func (c chosen) compression() compress.Kind {
	switch c.key.Kind {
	case backups.PlainGzip:
		return compress.Gzip
	case backups.PlainZstd:
		return compress.Zstd
	}
	return compress.None
}

// rehearse reads the backup to its end, which proves it whole, and changes nothing.
func (r *restore) rehearse(ctx context.Context, c chosen, d RestoreDetail, o fleet.Outcome) (fleet.Outcome, error) {
	in, err := r.store.Get(ctx, c.key.String())
	if err != nil {
		return o, err
	}
	defer func() { _ = in.Close() }()
	checked, err := pgdump.Check(ctx, in, pgdump.CheckOptions{
		Format: c.format(), Compression: c.compression(), Identities: r.identities, WantSHA256: c.manifest.StoredSHA256, Major: c.key.Major,
	})
	if err != nil {
		return o, err
	}
	d.StoredSize, d.StoredSHA256 = checked.StoredSize, checked.StoredSHA256
	o.Detail, o.Note = d, fmt.Sprintf("%s of %s is whole", words.Size(checked.StoredSize), c.key.Time.Format(time.DateTime))
	return o, nil
}

// make creates the project or the branch to restore into.
func (r *restore) make(ctx context.Context, t fleet.Tenant, c chosen, log *slog.Logger) (id string, target postgres.Target, err error) {
	// The time of this restore makes the name a new one, also where the same backup is restored a second time.
	stamp := c.key.Time.Format("20060102-150405") + "-at-" + time.Now().UTC().Format("20060102-150405")
	var secret fleet.Secret
	if r.into == "new-project" {
		id, secret, err = r.maker.CreateProject(ctx, t, t.Name+" restored "+stamp)
	} else {
		id, secret, err = r.maker.CreateBranch(ctx, t, "restore/"+stamp, time.Time{})
	}
	if err != nil {
		return "", postgres.Target{}, err
	}
	log.Info("created the target", "kind", r.into, "id", id)
	target, err = mode.Parse(r.env, secret, log)
	return id, target, err
}

// restoreFacts tells which backup was proved by its restore. The version is the backup's, not the tenant's.
func restoreFacts(r fleet.Result) catalog.Facts {
	d, ok := r.Outcome.Detail.(RestoreDetail)
	if !ok || r.State != fleet.Succeeded {
		return catalog.Facts{}
	}
	return catalog.Facts{RestoredKey: d.Key, RestoredAt: r.Started.Add(r.Elapsed)}
}
