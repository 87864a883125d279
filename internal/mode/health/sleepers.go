package health

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/org/neon-tenants-action/internal/backups"
	"github.com/org/neon-tenants-action/internal/fingerprint"
	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/input"
	"github.com/org/neon-tenants-action/internal/migration"
	"github.com/org/neon-tenants-action/internal/mode"
	"github.com/org/neon-tenants-action/internal/postgres"
	"github.com/org/neon-tenants-action/internal/records"
	"github.com/org/neon-tenants-action/internal/remedies"
)

// readSleepers reads the inputs about records and about tenants that are left asleep.
func (h *checker) readSleepers(in *input.Reader) {
	h.records = mode.ReadRecords(in, h.env)
	if h.sleepers = mode.ReadSleepers(in, h.env, h.records); h.sleepers != nil {
		h.sleepers.Table, h.sleepers.Files, h.sleepers.Checks = h.state.Table, h.filesDigest(), h.checksDigest()
	}
}

// filesDigest is the digest of the migration files, of none if there are none to compare with.
func (h *checker) filesDigest() string {
	if h.files == nil {
		return records.Set{}.Digest()
	}
	return records.Set(h.files.Digests()).Digest()
}

// checksDigest is a digest of what is looked for in each tenant: see [records.Schema].
func (h *checker) checksDigest() string {
	var required []string
	for _, t := range h.required {
		required = append(required, t.Quoted())
	}
	slices.Sort(required)
	sum := sha256.Sum256([]byte(fmt.Sprint(fingerprint.Version, h.files != nil, strings.Join(required, "\n"))))
	return hex.EncodeToString(sum[:])
}

// remember keeps what the look at a tenant found for later runs. Only of a tenant in which nothing is wrong is anything
// known later. How its files were applied is forgotten only if it is another database now.
func (h *checker) remember(ctx context.Context, t fleet.Tenant, d *Detail, m migration.Result, found problems) {
	if h.env.DryRun {
		return
	}
	r := records.Record{Place: h.env.PlaceOf(ctx, t, h.state.Table)}
	if old, _ := h.records.Book().Of(t.ID); old.Place == r.Place {
		r.Applied = old.Applied
	}
	if len(found) == 0 && d.Fingerprint != "" {
		r.CurrentAt, r.Files, r.Version = records.SeenAt(m.At, m.Clock), h.filesDigest(), d.Version
		r.Schema = &records.Schema{
			Checks: h.checksDigest(), Fingerprint: d.Fingerprint, FingerprintVersion: d.FingerprintVersion,
			Objects: d.Objects, Extensions: d.Extensions, PostgresMajor: d.PostgresMajor,
		}
		if !d.target.Zero() {
			o := mode.Owner(h.env, t, d.target).Origin
			r.Schema.Server, r.Schema.Database = o.Server, o.Database
		}
	}
	d.Record = &r
}

// forget takes out of a detail what was to be remembered of a schema that has changed since.
func (d *Detail) forget() {
	if d.Record != nil {
		d.Record = &records.Record{Place: d.Record.Place, Applied: d.Record.Applied}
	}
}

// leave returns the detail of a tenant that is left asleep: what its record says.
func (h *checker) leave(t fleet.Tenant) (d Detail, left bool) {
	record, left := h.sleepers.Left(t)
	if !left {
		return d, false
	}
	s := record.Schema
	d = Detail{
		Asleep: true, Version: record.Version, Fingerprint: s.Fingerprint, FingerprintVersion: s.FingerprintVersion,
		Objects: s.Objects, Extensions: s.Extensions, PostgresMajor: s.PostgresMajor,
	}
	if !h.env.DryRun {
		d.Record = &record
	}
	return d, true
}

// owner is the tenant as the owner of its backups, without its connection string if it is left asleep.
func (h *checker) owner(t fleet.Tenant, d Detail) backups.Owner {
	record, asleep := h.sleepers.Left(t)
	if !asleep {
		return mode.Owner(h.env, t, d.target)
	}
	o := mode.Owner(h.env, t, postgres.Target{})
	o.Origin.Server, o.Origin.Database = record.Schema.Server, record.Schema.Database
	return o
}

// addBackupOf adds the tenant's newest backup, if backups are looked for. A bucket that cannot be read is a problem
// under the same checks as what it might have shown, and an error only if the run was cancelled.
func (h *checker) addBackupOf(ctx context.Context, t fleet.Tenant, d *Detail) (problems, error) {
	if h.store == nil || ctx.Err() != nil {
		return nil, nil
	}
	folder, owner := h.store.Folder(t.Key), h.owner(t, *d)
	objects, err := h.store.Objects(ctx, t.Key)
	var newest backups.Judged
	var passed []backups.Judged
	if err == nil {
		newest, passed, err = h.store.Newest(ctx, backups.Find(folder, objects), owner)
	}
	var found problems
	var proof backups.RestoreProof // zero if there is none
	unread := []string{onBackupAge, onProofAge}
	if err == nil {
		found, unread = d.addBackup(newest.Backup, passed, h.store.Now(), h.maxAge), []string{onProofAge}
		if h.proofs {
			proof, _, err = h.store.Proven(ctx, folder, objects, owner)
		}
	}
	switch {
	case err != nil && errors.Is(ctx.Err(), context.Canceled): // the whole run
		return nil, err
	case err != nil:
		return append(found, notRead(unread, h.proofs, err)...), nil
	case h.proofs:
		found = append(found, d.addProof(proof, h.store.Now(), h.maxProofAge)...)
	}
	return found, nil
}

// notRead are the problems of a tenant whose backups could not be looked at, one for each check that needs what was not
// read.
func notRead(checks []string, proofs bool, err error) (found problems) {
	for _, check := range checks {
		if check != onProofAge || proofs {
			found = append(found, problem{
				check, "backups not checked", "its backups could not be looked at: " + err.Error(), remedies.Of(err), err,
			})
		}
	}
	return found
}
