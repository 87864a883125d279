package neontest

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"math/big"
	"net/http"
	"strings"
	"time"
)

const lockedMessage = "project already has running conflicting operations, scheduling of new ones is prohibited"

type project struct {
	clock                 *clock
	id, name, org, region string
	pgVersion             int
	created, updated      time.Time
	used                  time.Time // when a connection to a compute last began or ended; zero: there was none
	active                time.Time // when a compute was last in use, as a test wants Neon to say; zero: as it was
	deleted               *time.Time
	noStorePasswords      bool
	historySeconds        int
	plan                  *Plan
	age                   time.Duration // how much longer its history is than since it was created
	settings              settings
	endpointSettings      *endpointSettings // as they were given; nil: none were
	quotaExceeded         bool
	shared                bool // several projects have its database, which is left alone on the real server

	branches   []*branch // by creation
	endpoints  []*endpoint
	operations []*operation // by creation
	changing   bool         // a request is changing it
	busyUntil  time.Time    // when its operations are finished

	failRestore bool // the next restore that preserves a branch is accepted and fails
}

type settings struct {
	Quota                  *quotas         `json:"quota,omitempty"`
	AllowedIPs             *allowedIPs     `json:"allowed_ips,omitempty"`
	BlockPublicConnections bool            `json:"block_public_connections"`
	LogicalReplication     bool            `json:"enable_logical_replication"`
	MaintenanceWindow      json.RawMessage `json:"maintenance_window,omitempty"`
}

type allowedIPs struct {
	IPs                   []string `json:"ips"`
	ProtectedBranchesOnly bool     `json:"protected_branches_only"`
}

type branch struct {
	contents // its head
	expiry
	history          []kept // oldest first
	project          *project
	id, name         string
	parent           *branch
	parentLSN        string    // where in the parent's history it began
	parentTime       time.Time // the same, as a time
	isDefault        bool
	protected        bool
	archived         bool
	created, updated time.Time
	reset            *time.Time
	ready            time.Time
	initSource       string
}

type endpoint struct {
	id, name         string
	branch           *branch
	readOnly         bool
	disabled         bool
	suspended        bool
	waking           time.Time // when it will be awake; zero if nothing woke it
	suspendSeconds   int
	minCU, maxCU     float64
	created, updated time.Time
}

// find returns a project that the caller may see. Called with the lock held.
func (s *Server) find(r *request) (*project, error) {
	p := s.byID[r.PathValue("project_id")]
	if p == nil || p.deleted != nil || !r.caller.sees(p) {
		return nil, refuse(http.StatusNotFound, "project not found")
	}
	if expired := s.expire(p); len(expired) > 0 {
		s.inBackground(func(ctx context.Context) error { return s.drop(ctx, expired...) })
	}
	return p, nil
}

// findBranch returns a branch of a project that the caller may see. Called with the lock held.
func (s *Server) findBranch(r *request) (*branch, error) {
	p, err := s.find(r)
	if err != nil {
		return nil, err
	}
	if b := p.branch(r.PathValue("branch_id")); b != nil {
		return b, nil
	}
	return nil, refuse(http.StatusNotFound, "branch not found")
}

// begin starts a change to the project, which takes one at a time, as Neon's do. Called with the lock held.
func (p *project) begin() error {
	if p.changing || p.clock.now().Before(p.busyUntil) {
		return refuse(http.StatusLocked, lockedMessage)
	}
	p.changing = true
	return nil
}

// end ends a change that failed. A change that succeeds ends with schedule.
func (s *Server) end(p *project) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p.changing = false
}

func (p *project) branch(id string) *branch {
	for _, b := range p.branches {
		if b.id == id {
			return b
		}
	}
	return nil
}

func (p *project) defaultBranch() *branch {
	for _, b := range p.branches {
		if b.isDefault {
			return b
		}
	}
	return nil
}

func (p *project) endpoint(id string) *endpoint {
	for _, e := range p.endpoints {
		if e.id == id {
			return e
		}
	}
	return nil
}

// endpoint returns the branch's compute, preferably a read-write one; nil if it has none.
func (b *branch) endpoint() *endpoint {
	var found *endpoint
	for _, e := range b.project.endpoints {
		if e.branch == b && (found == nil || found.readOnly) {
			found = e
		}
	}
	return found
}

func (b *branch) children() []*branch {
	var children []*branch
	for _, other := range b.project.branches {
		if other.parent == b {
			children = append(children, other)
		}
	}
	return children
}

// now returns a time for something new: to the microsecond, like Neon's, and never the same twice, so that it can serve
// as a cursor. Called with the lock held.
func (s *Server) now() time.Time {
	now := s.clock.now().UTC().Truncate(time.Microsecond)
	if !now.After(s.lastCreated) {
		now = s.lastCreated.Add(time.Microsecond)
	}
	s.lastCreated = now
	return now
}

func (s *Server) nextID() int64 {
	s.lastID++
	return s.lastID
}

var (
	adjectives = strings.Fields(`
		autumn bitter bold broad calm cool damp dawn divine fancy fragrant green hidden holy icy jolly late
		lively little long misty muddy nameless odd old patient plain polished proud purple quiet rapid
		restless rough round royal shiny shy silent small snowy soft solitary spring square steep still
		summer super sweet tight tiny twilight wandering weathered white wild winter wispy withered young`)
	nouns = strings.Fields(`
		art base bird block boat bonus bread breeze brook bush butterfly cake cell cherry cloud credit
		darkness dawn dew disk dream dust feather field fire firefly flower fog forest frog frost glade
		glitter grass hall hat haze heart hill king lab lake leaf limit math meadow mode moon morning
		mountain mouse mud night paper pine poetry pond queen rain recipe resonance rice river salad scene
		sea shadow shape silence sky smoke snow snowflake sound star sun sunset surf term thunder tooth tree
		truth union unit violet voice water waterfall wave wildflower wind wood`)
)

func pick(words []string) string { return words[below(int64(len(words)))] }

func below(n int64) int64 {
	i, err := rand.Int(rand.Reader, big.NewInt(n))
	if err != nil {
		panic(err) // crypto/rand never fails
	}
	return i.Int64()
}

func words() string { return pick(adjectives) + "-" + pick(nouns) }

// newProjectID returns an id like quiet-river-12345678.
func newProjectID() string { return fmt.Sprintf("%s-%08d", words(), below(1e8)) }

// newID returns an id of a branch or an endpoint, which has letters in its last part too.
func newID(prefix string) string {
	return prefix + "-" + words() + "-a" + strings.ToLower(rand.Text()[:7])
}

// newPassword looks like Neon's, with characters that have to be escaped in a URL, except for %, which neonctl does not
// escape.
func newPassword() string { return "npg_" + rand.Text()[:10] + "@:/?#[&+= " + rand.Text()[:4] }

// realName makes a name unique on the real server, but keeps it readable.
func realName(name string) string {
	return strings.ToValidUTF8(name[:min(len(name), 40)], "") + "_" + strings.ToLower(rand.Text()[:12])
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.999999Z07:00") }

func optionalStamp(t *time.Time) string {
	if t == nil {
		return ""
	}
	return stamp(*t)
}
