package neontest

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"math/big"
	"net/http"
	"slices"
	"strings"
	"time"
)

const lockedMessage = "project already has running conflicting operations, scheduling of new ones is prohibited"

type project struct {
	id, name, org, region string
	pgVersion             int
	created, updated      time.Time
	deleted               *time.Time
	noStorePasswords      bool
	historySeconds        int
	settings              settings
	endpointSettings      json.RawMessage
	quotaExceeded         bool
	shared                bool // several projects have its database: nothing is done to it on the real server

	branches   []*branch // by creation
	endpoints  []*endpoint
	operations []*operation // by creation
	changing   bool         // a request is at work on it
	busyUntil  time.Time    // its operations are finished then
}

type settings struct {
	Quota                  json.RawMessage `json:"quota,omitempty"`
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
	project          *project
	id, name         string
	parent           *branch
	isDefault        bool
	protected        bool
	archived         bool
	created, updated time.Time
	reset            *time.Time
	expires          *time.Time
	ready            time.Time
	initSource       string
	roles            []*role
	databases        []*database
}

// role is a role under Neon's name and under the one it has on the real server.
type role struct {
	name, real, password string
	noLogin              bool
	created, updated     time.Time
}

type database struct {
	id               int64
	name, real       string
	owner            string // a role's Neon name
	created, updated time.Time
}

type endpoint struct {
	id, name         string
	branch           *branch
	readOnly         bool
	disabled         bool
	suspended        bool
	waking           time.Time // when it will be awake; zero where nobody woke it
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
	s.expireBranches(p)
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

// begin takes a project for a change, as Neon does: one at a time. Called with the lock held.
func (p *project) begin() error {
	if p.changing || time.Now().Before(p.busyUntil) {
		return refuse(http.StatusLocked, lockedMessage)
	}
	p.changing = true
	return nil
}

// end gives the project back where the change failed. finishing it with schedule does so too.
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

// endpoint returns the branch's compute, the one that writes first; nil where it has none.
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

func (b *branch) role(name string) *role {
	i := slices.IndexFunc(b.roles, func(r *role) bool { return r.name == name })
	if i < 0 {
		return nil
	}
	return b.roles[i]
}

func (b *branch) database(name string) *database {
	i := slices.IndexFunc(b.databases, func(d *database) bool { return d.name == name })
	if i < 0 {
		return nil
	}
	return b.databases[i]
}

// now is the time for something new: to the microsecond, as Neon gives it, and never the same twice, so that it can mark
// a place in a list. Called with the lock held.
func (s *Server) now() time.Time {
	now := time.Now().UTC().Truncate(time.Microsecond)
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
	adjectives = strings.Fields("autumn bitter bold broad calm cool damp dawn divine fancy fragrant green hidden holy icy jolly late lively little long misty muddy nameless odd old patient plain polished proud purple quiet rapid restless rough round royal shiny shy silent small snowy soft solitary spring square steep still summer super sweet tight tiny twilight wandering weathered white wild winter wispy withered young")
	nouns      = strings.Fields("art base bird block boat bonus bread breeze brook bush butterfly cake cell cherry cloud credit darkness dawn dew disk dream dust feather field fire firefly flower fog forest frog frost glade glitter grass hall hat haze heart hill king lab lake leaf limit math meadow mode moon morning mountain mouse mud night paper pine poetry pond queen rain recipe resonance rice river salad scene sea shadow shape silence sky smoke snow snowflake sound star sun sunset surf term thunder tooth tree truth union unit violet voice water waterfall wave wildflower wind wood")
)

func pick(words []string) string { return words[below(int64(len(words)))] }

func below(n int64) int64 {
	i, err := rand.Int(rand.Reader, big.NewInt(n))
	if err != nil {
		panic(err) // crypto/rand's reader does not fail
	}
	return i.Int64()
}

func words() string { return pick(adjectives) + "-" + pick(nouns) }

// newProjectID is like quiet-river-12345678; branches' and endpoints' ids have letters in their last part too.
func newProjectID() string { return fmt.Sprintf("%s-%08d", words(), below(1e8)) }

func newID(prefix string) string {
	return prefix + "-" + words() + "-a" + strings.ToLower(rand.Text()[:7])
}

// newPassword has the shape of Neon's, and what a URL needs escaped; but for %, which Neon's own command line can't escape.
func newPassword() string { return "npg_" + rand.Text()[:10] + "@:/?#[&+= " + rand.Text()[:4] }

// realName makes a name unique on the real server, and still readable there.
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
