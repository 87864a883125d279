package backup

import (
	"context"
	"fmt"
	"log/slog"
	"path"
	"slices"
	"strings"

	"github.com/org/neon-tenants-action/internal/backups"
	"github.com/org/neon-tenants-action/internal/bucket"
	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/input"
	"github.com/org/neon-tenants-action/internal/mode"
	"github.com/org/neon-tenants-action/internal/words"
)

// source is the backup to restore. Its manifest is zero if the backup has none.
type source struct {
	key      backups.Key
	manifest backups.Manifest
}

// readKey reads backup-key in every form in which a report, a listing or the AWS console shows it: the key, the
// object's name in the tenant's folder, its address, and each of them of the manifest. The result is a key, or a name.
func readKey(in *input.Reader) string {
	return input.Parse(in, "backup-key", func(text string) (string, error) {
		const form = "20261122T031500Z-pg17.sql.gz"
		key := text
		if address, ok := strings.CutPrefix(text, "s3://"); ok {
			name, rest, _ := strings.Cut(address, "/")
			if own := in.String("s3-bucket"); name != own && own != "" {
				return "", fmt.Errorf("%q is in the bucket %s, and s3-bucket is %s; set s3-bucket to the bucket that holds the "+
					"backup", text, name, own)
			}
			key = rest
		}
		key = strings.TrimSuffix(key, ".json") // which ends the manifest's
		if _, ok := parseKey(key); !ok {
			return "", fmt.Errorf("%q does not end with the name of a backup, such as %s; give the key from a backup run's "+
				"report, or leave it out for the newest", text, form)
		}
		return key, nil
	})
}

// find returns the backup that backup-key names, or the newest one of the tenant that counts.
func (r *restore) find(ctx context.Context, t fleet.Tenant, log *slog.Logger) (source, []string, error) {
	target, err := mode.Resolve(ctx, r.env, t, log)
	if err != nil { // a tenant that cannot be reached may be why it is restored
		log.Info("where the tenant is could not be found out, so its id alone tells its backups", "error", err)
	}
	owner := mode.Owner(r.env, t, target)
	if r.key != "" {
		return r.named(ctx, owner, t.Key)
	}
	existing, err := r.store.List(ctx, t.Key)
	if err != nil {
		return source{}, nil, err
	}
	found, odd, err := r.store.Newest(ctx, existing, owner)
	if err == nil && target.Zero() {
		err = r.refuseSeveral(ctx, existing, owner, found)
	}
	if err == nil && found.Key == "" {
		found, err = r.store.Renamed(ctx, owner, r.present)
	}
	if err != nil {
		return source{}, nil, err
	}
	warnings := passed(odd)
	if found.Key == "" {
		return source{}, warnings, noneCounts(odd, fmt.Sprintf("s3://%s/%s", r.store.Name(), r.store.Folder(t.Key)))
	}
	key, _ := parseKey(found.Key)
	if key.Folder != r.store.Folder(t.Key) {
		warnings = append(warnings, fmt.Sprintf("its own folder has no backup of it; %s is one of it, from when its "+
			"folder was %s", found.Key, key.Folder))
	}
	return source{key, found.Manifest}, warnings, nil
}

// refuseSeveral refuses the backups of a tenant of which nobody knows where it is now, if they are of several places:
// the newest may be of another branch, or another database, than the one that is to be restored.
func (r *restore) refuseSeveral(
	ctx context.Context, listed []backups.Backup, o backups.Owner, newest backups.Judged,
) error {
	judged, err := r.store.Judge(ctx, listed, o)
	if err != nil {
		return err
	}
	latest := []backups.Judged{newest} // of each place
	for _, j := range judged {
		known := func(l backups.Judged) bool { return l.Manifest.Origin.Same(j.Manifest.Origin) }
		if j.Standing == backups.Counts && !slices.ContainsFunc(latest, known) {
			latest = append(latest, j)
		}
	}
	if len(latest) == 1 {
		return nil
	}
	places := words.ListFunc(latest, shownPlaces, func(j backups.Judged) string {
		return fmt.Sprintf("%s is of %s", j.Key, j.Manifest.Origin)
	})
	return fleet.WithRemedy(fmt.Errorf("where the tenant is could not be found out, and its backups are of several "+
		"places: %s", places), "name the right one with backup-key")
}

const shownPlaces = 5

// named returns the backup that backup-key names, unless it is another tenant's or damaged.
func (r *restore) named(ctx context.Context, o backups.Owner, tenantKey string) (source, []string, error) {
	text, folder := r.key, r.store.Folder(tenantKey)
	if !strings.Contains(text, "/") {
		text = folder + text
	}
	key, _ := parseKey(text)
	j, err := r.store.Named(ctx, key, o)
	switch {
	case bucket.IsNotFound(err):
		return source{}, nil, r.notThere(ctx, key, o, tenantKey)
	case err != nil:
		return source{}, nil, err
	}
	switch j.Standing {
	case backups.Counts:
		return source{key, j.Manifest}, nil, nil
	case backups.Unverified:
		if key.Folder != folder && !j.Manifest.Of(o.ID) {
			return source{}, nil, r.notThere(ctx, key, o, tenantKey)
		}
		return source{key: key}, []string{fmt.Sprintf(
			"%s has no manifest: its backup run did not end well, and its SHA-256 cannot be compared", key)}, nil
	case backups.Foreign:
		return source{}, nil, fleet.WithRemedy(fmt.Errorf("%s is not restored: %s", key, j.Why()),
			"name that tenant in tenants; if it is gone, load the object with psql or pg_restore yourself")
	case backups.Unreadable:
		return source{}, nil, fleet.WithRemedy(fmt.Errorf("%s is not restored: %s", key, j.Why()), unreadable)
	case backups.Damaged:
		return source{}, nil, fleet.WithRemedy(fmt.Errorf("%s is not restored: %s", key, j.Why()),
			"name an older backup with backup-key, and find out what altered this one")
	}
	return source{key, j.Manifest}, []string{fmt.Sprintf("%s: %s", key, j.Why())}, nil
}

// unreadable is the remedy for a backup whose manifest cannot be used. Nothing says then whose it is, or whether it is
// whole, unless the user does.
const unreadable = "name another backup with backup-key; to load this one all the same, put back the manifest as it " +
	"was (the key and .json), or delete it and give backup-key: without a manifest the backup is loaded with a warning, " +
	"and its SHA-256 is not compared"

// parseKey parses the key of a backup in whatever folder.
func parseKey(key string) (backups.Key, bool) {
	folder, _ := path.Split(key)
	return backups.ParseKey(folder, key)
}

// noneCounts says that a tenant's folder has no backup that could be restored without being named.
func noneCounts(odd []backups.Judged, folder string) error {
	for _, j := range odd {
		switch j.Standing {
		case backups.Elsewhere, backups.Unclear, backups.Partial, backups.Future:
			return fleet.WithRemedy(
				fmt.Errorf("there is no verified backup in %s of the whole of this tenant; %s", folder, backups.Passed(odd)),
				"if one of them is the right one, name it with backup-key")
		}
	}
	err := noneIn(folder)
	text, remedy := backups.Passed(odd), fleet.Remedy(err)
	if text == "" {
		return err
	}
	if slices.ContainsFunc(odd, func(j backups.Judged) bool { return j.Standing == backups.Unreadable }) {
		remedy = unreadable
	}
	return fleet.WithRemedy(fmt.Errorf("%w; %s", err, text), remedy)
}

// noneIn says that a tenant's folder has no verified backup.
func noneIn(folder string) error {
	return fleet.WithRemedy(fmt.Errorf("there is no verified backup in %s", folder),
		"check that s3-bucket, s3-prefix and tenant-key are those of the backup runs")
}

// notThere says that the tenant has no backup with that key, and names its newest ones if they can be read.
func (r *restore) notThere(ctx context.Context, key backups.Key, o backups.Owner, tenantKey string) error {
	const read = 10
	var newest []string
	if listed, err := r.store.List(ctx, tenantKey); err == nil {
		judged, _ := r.store.Judge(ctx, listed[:min(len(listed), read)], o)
		for _, j := range judged {
			if j.Standing == backups.Counts {
				newest = append(newest, j.Key)
			}
		}
	}
	return noSuch(key.String(), fmt.Sprintf("s3://%s/%s", r.store.Name(), r.store.Folder(tenantKey)), newest)
}

// noSuch is the error of a key that a tenant's folder does not have; newest are backups that count.
func noSuch(key, folder string, newest []string) error {
	const shown = 3
	remedy := "give the key of a backup of this tenant, and check that s3-bucket, s3-prefix and tenant-key are those of " +
		"the backup runs"
	if len(newest) > 0 {
		remedy = "name one of its newest (" + strings.Join(newest[:min(len(newest), shown)], ", ") +
			"), or leave backup-key out for the newest"
	}
	return fleet.WithRemedy(fmt.Errorf("there is no backup %s in %s", key, folder), remedy)
}
