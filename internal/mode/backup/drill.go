package backup

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"filippo.io/age"

	"github.com/org/neon-tenants-action/internal/backups"
	"github.com/org/neon-tenants-action/internal/catalog"
	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/input"
	"github.com/org/neon-tenants-action/internal/mode"
	"github.com/org/neon-tenants-action/internal/postgres"
	"github.com/org/neon-tenants-action/internal/words"
)

// DrillDetail is what the report file says about a tenant in mode verify-backups.
type DrillDetail struct {
	Key     string `json:"key,omitempty"` // of the newest backup; empty if there is none
	Drilled bool   `json:"drilled"`       // in this run
	// ProvenAt is when one of the tenant's backups was last proven to restore, ProvenKey which one; empty: never.
	ProvenAt  *time.Time `json:"proven_at,omitempty"`
	ProvenKey string     `json:"proven_key,omitempty"`
	// ProofAge is the proof's age in seconds; without one, the age of the tenant's oldest backup.
	ProofAge int64 `json:"proof_age_seconds"`
	// LeftOut is why the tenant's backup is never restored by such a run.
	LeftOut string `json:"left_out,omitempty"`

	Seconds     float64  `json:"restore_seconds,omitempty"`
	StoredSize  int64    `json:"stored_size,omitempty"` // bytes
	Tables      int      `json:"tables,omitempty"`
	Rows        int64    `json:"rows,omitempty"`
	Compared    []string `json:"compared,omitempty"`
	NotCompared []string `json:"not_compared,omitempty"`
}

// drill restores stored backups, those that were proven longest ago first.
type drill struct {
	env        mode.Env
	source     *Chains
	sample     fleet.Sample
	maxAge     time.Duration
	maxSize    int64 // bytes of a dump; 0: any
	checkSQL   string
	ledger     postgres.Ledger
	identities []age.Identity
	targets    []postgres.Target

	servers  map[int]*server // by their major version
	quota    *quota
	places   map[string]int // in the order of the drills, by the tenant's id
	selected int            // tenants with a backup that may be restored

	mu     sync.Mutex
	proven map[string]backups.RestoreProof // in this run, by the tenant's id
}

// NewDrill reads the inputs of mode verify-backups, whose source is [NewChains].
func NewDrill(in *input.Reader, env mode.Env) mode.Work {
	d := &drill{
		env: env, source: env.Source.(*Chains), // as the mode's entry has it
		sample: input.Parse(in, "sample", fleet.ParseSample), maxAge: in.Duration("max-proof-age"),
		maxSize: input.Parse(in, "max-size", input.ParseSize), checkSQL: readCheckSQL(in),
		ledger: mode.ReadLedger(in), proven: map[string]backups.RestoreProof{},
	}
	for _, ordering := range []string{"canary", "waves", "wave-pause"} {
		if in.Given(ordering) {
			in.Mistake(ordering, "has no meaning in mode verify-backups, which takes first the tenants that were proven "+
				"longest ago; leave it out, and give sample for how many")
		}
	}
	given := in.Secret("verify-database-url")
	for _, line := range strings.Split(given, "\n") {
		if line = strings.TrimSpace(line); line != "" {
			d.targets = append(d.targets, readTarget(in, env, "verify-database-url", line))
		}
	}
	d.identities = readIdentities(in)
	return mode.Work{Prepare: d.prepare, Order: d.order, Job: d.run, Finish: d.finish, Close: d.close, Facts: drillFacts}
}

// prepare asks the servers for their versions, and says whether the sample is large enough.
func (d *drill) prepare(ctx context.Context, found mode.Found) error {
	for _, t := range found.Tenants {
		if c, ok := d.source.chains[t.ID]; ok && d.leftOut(c) == "" {
			d.selected++
		}
	}
	n := d.sample.Of(d.selected)
	d.quota = newQuota(n)
	if text := outOfReach(d.selected, n, d.sample, d.maxAge); text != "" {
		d.env.Notice(text)
	}
	if d.env.DryRun {
		return nil
	}
	d.servers = map[int]*server{}
	for _, t := range d.targets {
		c, err := postgres.Connect(ctx, t, postgres.Options{Idles: true})
		if err != nil {
			return fmt.Errorf("verify-database-url: %w", err)
		}
		major := c.ServerMajor()
		if other, twice := d.servers[major]; twice {
			d.env.Notice(fmt.Sprintf("verify-database-url: %s and %s are both PostgreSQL %d; the first is used",
				other.target.Server(), t.Server(), major))
			c.Close()
			continue
		}
		d.servers[major] = &server{target: t, version: c.Parameter("server_version"), idle: []*postgres.Conn{c}}
	}
	return nil
}

// close closes the connections that no drill has any more.
func (d *drill) close() {
	for _, s := range d.servers {
		s.mu.Lock()
		for _, c := range s.idle {
			c.Close()
		}
		s.idle = nil
		s.mu.Unlock()
	}
}

// order has the tenants that were proven longest ago go first.
func (d *drill) order(found []fleet.Tenant) []fleet.Tenant {
	ordered := ranked(found, d.source.chains)
	d.places = map[string]int{}
	for i, t := range ordered {
		d.places[t.ID] = i
	}
	return ordered
}

// leftOut says why a tenant's newest backup is never restored by such a run; empty if it may be. Its size is that
// before it was compressed, as far as the manifest knows that.
func (d *drill) leftOut(c backups.Chain) string {
	m := c.Newest.Manifest
	size := max(m.PlainSize, m.StoredSize)
	if d.maxSize > 0 && size > d.maxSize {
		return fmt.Sprintf("%s is %s, more than max-size", c.Newest.Key, words.Size(size))
	}
	if arg := backups.ForeignData(m.Args); arg != "" {
		return fmt.Sprintf("%s was made with %s, and to restore it would send those rows to the foreign servers once more",
			c.Newest.Key, arg)
	}
	return ""
}

// run restores one tenant's newest backup, if it is the tenant's turn.
func (d *drill) run(ctx context.Context, t fleet.Tenant, log *slog.Logger) (o fleet.Outcome, err error) {
	place := d.places[t.ID]
	c, ok := d.source.chains[t.ID]
	if !ok {
		d.quota.pass(place)
		return withoutBackup(), nil
	}
	detail := detailOf(c, d.source.store.Now())
	if detail.LeftOut = d.leftOut(c); detail.LeftOut != "" {
		d.quota.pass(place)
		return fleet.Outcome{
			Unchanged: true, Note: "left out", Detail: detail, Warnings: []string{"it is not proven: " + detail.LeftOut},
		}, nil
	}
	turn, err := d.quota.enter(ctx, place)
	if err != nil || !turn {
		return fleet.Outcome{Unchanged: true, Quiet: true, Note: "not drilled in this run", Detail: detail}, err
	}
	defer func() { d.quota.leave(err == nil) }()
	if d.env.DryRun {
		note := fmt.Sprintf("would restore %s of %s, %s", words.Size(c.Newest.Size),
			c.Newest.Time.Format(time.DateTime), lastProven(c, d.source.store.Now()))
		return fleet.Outcome{Note: note, Detail: detail}, nil
	}
	detail.Drilled = true
	p, err := d.prove(ctx, t, c, log)
	if err != nil {
		return fleet.Outcome{Detail: detail}, err
	}
	detail.take(p)
	return fleet.Outcome{
		Note: fmt.Sprintf("restored %s in %s from %s", words.Count(int(p.Rows), "row", "rows"),
			words.Count(p.Tables, "table", "tables"), p.MadeAt.Format(time.DateTime)),
		Detail: detail,
	}, nil
}

// withoutBackup is the outcome of a tenant that has no backup.
func withoutBackup() fleet.Outcome {
	return fleet.Outcome{
		Unchanged: true, Note: "no backup", Detail: DrillDetail{LeftOut: "it has no backup"},
		Warnings: []string{"it has no verified backup of the whole tenant in the bucket; run mode backup on it"},
	}
}

// lastProven says when a chain was last proven.
func lastProven(c backups.Chain, now time.Time) string {
	if c.Proof == nil {
		return "never proven"
	}
	return "last proven " + words.Duration(now.Sub(c.Proof.FinishedAt)) + " ago"
}

// detailOf is what is known of a tenant before it is drilled.
func detailOf(c backups.Chain, now time.Time) DrillDetail {
	d := DrillDetail{Key: c.Newest.Key, ProofAge: int64(c.Unproven(now) / time.Second)}
	if c.Proof != nil {
		d.ProvenAt, d.ProvenKey = &c.Proof.FinishedAt, c.Proof.Key
	}
	return d
}

// take adds a new proof to the detail.
func (d *DrillDetail) take(p backups.RestoreProof) {
	d.ProvenAt, d.ProvenKey, d.ProofAge = &p.FinishedAt, p.Key, 0
	d.Seconds, d.StoredSize, d.Tables, d.Rows = p.Seconds, p.StoredSize, p.Tables, p.Rows
	d.Compared, d.NotCompared = p.Compared, p.NotCompared
}

// serverFor returns the server for a backup's major version. Another version's server may load a dump that its own
// refuses, and the reverse.
func (d *drill) serverFor(key backups.Key) (*server, error) {
	if s, ok := d.servers[key.Major]; ok {
		return s, nil
	}
	var have []string
	for major, s := range d.servers {
		have = append(have, fmt.Sprintf("%d (%s)", major, s.target.Server()))
	}
	slices.Sort(have)
	return nil, fleet.WithRemedy(fmt.Errorf("the backup %s was made by PostgreSQL %d, and no server of "+
		"verify-database-url is of that version; there is %s", key, key.Major, words.List(have, 5)),
		fmt.Sprintf("add a line to verify-database-url with the connection string of a PostgreSQL %d", key.Major))
}

// drillFacts returns which backup was proved.
func drillFacts(r fleet.Result) (f catalog.Facts) {
	if d, ok := r.Outcome.Detail.(DrillDetail); ok && d.ProvenAt != nil {
		f.RestoredKey, f.RestoredAt = d.ProvenKey, *d.ProvenAt
	}
	return f
}
