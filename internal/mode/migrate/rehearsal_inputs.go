package migrate

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"time"

	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/input"
	"github.com/org/neon-tenants-action/internal/mode"
)

// readRehearsal reads the inputs about rehearsals; nil if there is to be none.
func (m *migrator) readRehearsal(in *input.Reader) {
	which := in.Choice("rehearse", "none", "canary", "all")
	limits := noLimits
	if text := in.String("rehearse-fail-on"); text != "" {
		limits = input.Parse(in, "rehearse-fail-on", parseLimits)
		if which == "none" {
			in.Mistake("rehearse-fail-on", "limits what a rehearsal may show, and there is none; give rehearse: all, or "+
				"leave it out")
		}
	}
	comment := in.Bool("comment")
	if which == "none" || which == "" {
		if comment {
			in.Mistake("comment", "says on the pull request what a rehearsal showed, and there is none; give rehearse: all, "+
				"or leave it out")
		}
		return
	}
	if which == "canary" && strings.TrimSpace(in.String("canary")) == "" {
		in.Mistake("rehearse", "rehearses the canaries, and there are none; give canary: 1, or rehearse: all")
	}
	r := &rehearsal{everybody: which == "all", limits: limits, timeout: in.Duration("tenant-timeout"), migrator: m,
		done: map[string]*rehearsed{}}
	r.copies = copier{env: m.env, runID: in.Variable("GITHUB_RUN_ID"), table: m.options.Table,
		lifetime: min((aheadPerSlot+1)*r.timeout+time.Hour, longestLife), copying: make(slots, copiesAtOnce)}
	if comment {
		r.commenter = mode.NewCommenter(in, m.env)
		r.marker = commentMarker(in)
	}
	if _, ok := m.env.Source.(fleet.SchemaHost); ok && limits != noLimits {
		in.Mistake("rehearse-fail-on", "cannot be measured with tenant-source: schemas, whose copies have no data; leave it "+
			"out")
	}
	m.rehearsal = r
}

// commentMarker tells the comments of several workflows, jobs and shards on one pull request apart.
func commentMarker(in *input.Reader) string {
	sum := sha256.Sum256([]byte(strings.Join([]string{
		in.Variable("GITHUB_WORKFLOW"), in.Variable("GITHUB_JOB"), in.String("shard"), in.String("tenants"),
	}, "\x00")))
	return "rehearsal-" + hex.EncodeToString(sum[:6])
}
