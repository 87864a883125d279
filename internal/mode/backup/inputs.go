package backup

import (
	"fmt"
	"strings"
	"time"

	"github.com/mattn/go-shellwords"

	"github.com/org/neon-tenants-action/internal/backups"
	"github.com/org/neon-tenants-action/internal/compress"
	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/input"
	"github.com/org/neon-tenants-action/internal/mode"
	"github.com/org/neon-tenants-action/internal/pgdump"
	"github.com/org/neon-tenants-action/internal/postgres"
	"github.com/org/neon-tenants-action/internal/remedies"
)

// New reads the inputs of mode backup.
func New(in *input.Reader, env mode.Env) mode.Work {
	b := Read(in, env)
	b.policy = readPolicy(in, env)
	_, b.looks = env.Source.(fleet.Activity)
	if maxAge := in.Duration("max-backup-age"); in.Bool("skip-unchanged") {
		b.maxAge = maxAge
		b.activity, _ = mode.Able[fleet.Activity](in, env, "skip-unchanged",
			"this source does not know when a tenant was last in use; leave it out")
	}
	if in.Bool("prune-only") {
		return mode.Work{Prepare: b.Prepare, Job: b.pruneOnly, Finish: b.prunedOnly, Close: b.Store.Close}
	}
	if left := backups.LeftOut(b.dump.Args); len(left) > 0 {
		env.Notice(fmt.Sprintf("pg-dump-args: %s leaves something out, so these backups are partial: nothing counts them "+
			"as backups of their tenants, and restore loads one only if backup-key names it", strings.Join(left, " ")))
	}
	return mode.Work{Prepare: b.Prepare, Job: b.Run, Finish: b.conclude, Close: b.Store.Close, Facts: facts}
}

// readPolicy reads the rules of retention. Days of 0 leave it to the other rules what is kept. That is said before
// anything is deleted, because somebody may have meant "for ever".
func readPolicy(in *input.Reader, env mode.Env) *backups.Policy {
	p := &backups.Policy{
		Days: in.Int("retention-days", 0, 36500), KeepLast: in.Int("keep-last", 1, 100000),
		Daily: in.Int("keep-daily", 0, 100000), Weekly: in.Int("keep-weekly", 0, 100000),
		Monthly: in.Int("keep-monthly", 0, 100000),
	}
	if in.String("retention-days") == "0" {
		newest := "newest backup"
		if p.KeepLast > 1 {
			newest = fmt.Sprintf("%d newest backups", p.KeepLast)
		}
		others := ""
		if p.Daily+p.Weekly+p.Monthly > 0 {
			others = ", and what keep-daily, keep-weekly and keep-monthly keep"
		}
		env.Notice(fmt.Sprintf("retention-days: 0 keeps no backup by its age, and leaves of each tenant only the %s "+
			"(keep-last: %d)%s; to prune none, set retention-days: 36500", newest, p.KeepLast, others))
	}
	return p
}

// lookTimeout is how long a look at the tenant's schema waits for locks: a backup is worth having without it.
const lookTimeout = 10 * time.Second

// Read reads the inputs of every mode that makes backups. The Job it returns backs up every tenant and prunes nothing.
func Read(in *input.Reader, env mode.Env) *Job {
	b := &Job{
		env:     env,
		Store:   mode.ReadStore(in),
		table:   env.ReadLedger(in),
		options: postgres.Options{ReadOnly: true, Idles: true, LockTimeout: lookTimeout},

		lockTimeout: in.Duration("lock-timeout"),
		// Other runs may give a tenant more time than this one.
		staleAfter: max(backups.UnfinishedAge, 2*in.Duration("tenant-timeout")),
	}
	b.dump = dumpOptions(in, env)
	if in.Choice("verify", "stream", "restore") == "restore" {
		b.verifyOn = readTarget(in, env, "verify-database-url", in.Secret("verify-database-url"))
		if b.dump.Recipients != nil {
			in.Mistake("verify",
				"a backup that is encrypted to age-recipients cannot be read here; set verify: stream")
		}
		if arg := backups.ForeignData(b.dump.Args); arg != "" {
			in.Mistake("verify", "to restore a backup with %s would send its rows to the foreign servers once more; "+
				"set verify: stream, or take it out of pg-dump-args", arg)
		}
	}
	return b
}

// NeedWhole makes it a mistake if the job's backups would be partial, in a mode that relies on them.
func (b *Job) NeedWhole(in *input.Reader) {
	if left := backups.LeftOut(b.dump.Args); len(left) > 0 {
		in.Mistake("pg-dump-args", "%s leaves something out of the backup that the drop relies on; take it out",
			strings.Join(left, " "))
	}
}

// dumpOptions reads the inputs about pg_dump, compression and encryption.
func dumpOptions(in *input.Reader, env mode.Env) pgdump.DumpOptions {
	o := pgdump.DumpOptions{
		Format:      pgdump.Format(in.Choice("backup-format", string(pgdump.Plain), string(pgdump.Custom))),
		Compression: compress.Kind(in.Choice("compression", string(compress.Gzip), string(compress.Zstd))),
		Recipients:  input.Parse(in, "age-recipients", parseRecipients),
		Args:        input.Parse(in, "pg-dump-args", shellwords.Parse),
	}
	highest := 9
	if o.Compression == compress.Zstd {
		highest = 19
	}
	o.Level = in.Int("compression-level", 1, highest)
	if err := pgdump.CheckArgs(o.Args); err != nil {
		in.Mistake("pg-dump-args", "%v; %s", err, remedies.Of(err))
	}
	if arg, why := backups.Unloadable(o.Args, o.Format == pgdump.Plain); arg != "" {
		in.Mistake("pg-dump-args", "with %s, restore could never load the backup: %s; take it out, "+
			"and leave schemas or tables out with --exclude-schema or --exclude-table", arg, why)
	}
	if _, ok := env.Source.(fleet.SchemaHost); ok {
		if err := pgdump.CheckSchemaArgs(o.Args); err != nil {
			in.Mistake("pg-dump-args", "%v; %s", err, remedies.Of(err))
		}
	}
	if !strings.EqualFold(in.String("pg-version"), "auto") {
		o.Major = in.Int("pg-version", postgres.OldestMajor, postgres.NewestMajor)
	}
	return o
}

// readTarget parses the connection string in an input. The target is zero if it is invalid, which is a mistake.
func readTarget(in *input.Reader, env mode.Env, name, text string) postgres.Target {
	if text == "" {
		return postgres.Target{} // already a mistake
	}
	t, err := postgres.ParseTrusted(text, env.Insecure)
	if err != nil {
		in.Mistake(name, "%v; %s", err, remedies.Of(err))
		return postgres.Target{}
	}
	in.Conceal(fleet.NewSecret(t.Reveal()))
	return t.Sharing(env.DirectTLS)
}
