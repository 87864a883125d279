package githubtest

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"

	"github.com/org/neon-tenants-action/internal/servertest"
)

// EnterprisePath is where the API of a GitHub Enterprise server begins. This one answers there too, for gh.
const EnterprisePath = "/api/v3"

// Options change how a server behaves. The zero value is GitHub's usual behavior.
type Options struct {
	// Listen is the API's address, default 127.0.0.1 with a free port.
	Listen string
	// Host is the host in URL, default the one that the server listens on.
	Host string
	// Limits on calls, default GitHub's.
	Limits Limits
	// NumericKeyIDs makes the ids of keys JSON numbers, as GitHub Enterprise servers do.
	NumericKeyIDs bool
}

// Server is GitHub's API for the secrets and variables of Actions, and for comments of pull requests. It opens every
// sealed box it receives, and refuses what GitHub refuses and what no client should send.
type Server struct {
	// URL is the API's address after Start, which a runner gives as GITHUB_API_URL.
	URL string

	options Options
	routes  *http.ServeMux
	http    *servertest.HTTP // nil without Start

	limits limits
	faults servertest.Faults[Fault]
	calls  calls

	mu            sync.Mutex // guards what follows and everything in it
	tokens        map[string]*Token
	repositories  map[string]*repository   // by owner/repo in lower case
	organizations map[string]*organization // by login in lower case
	lastID        int64
}

// New returns a server that is an http.Handler only. It accepts [DefaultToken] and [JobToken].
func New(o Options) *Server {
	s := &Server{
		options: o, tokens: map[string]*Token{}, repositories: map[string]*repository{},
		organizations: map[string]*organization{}, lastID: 74015237,
	}
	s.limits.configure(o.Limits)
	s.AddToken(Token{Secret: DefaultToken, Permissions: everything()})
	ofJob := map[string]string{"metadata": "read", "contents": "write", "actions": "write", "pull_requests": "write"}
	s.AddToken(Token{Secret: JobToken, Permissions: ofJob})
	s.routes = s.newRoutes()
	return s
}

// Start returns a server that listens until Close.
func Start(o Options) (*Server, error) {
	s := New(o)
	server, err := servertest.Serve(cmp.Or(o.Listen, "127.0.0.1:0"), s)
	if err != nil {
		return nil, fmt.Errorf("serve GitHub's API: %w", err)
	}
	s.http, s.URL = server, "http://"+server.Address()
	if o.Host != "" {
		s.URL = fmt.Sprintf("http://%s:%d", o.Host, server.Port())
	}
	return s, nil
}

// Close stops a server that was started.
func (s *Server) Close() error {
	if s.http == nil {
		return nil
	}
	return s.http.Close()
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	prefix := ""
	switch {
	case strings.HasPrefix(r.URL.Path, EnterprisePath+"/"):
		prefix = EnterprisePath
	case r.URL.Path == "/api/graphql":
		prefix = "/api"
	}
	http.StripPrefix(prefix, s.routes).ServeHTTP(w, r)
}

// request is a call that has reached the API itself, with what its path names.
type request struct {
	*http.Request
	repository   *repository
	organization *organization
	vault        *vault // of the scope
	token        *Token
	header       http.Header
	base         string // the API's address as the client uses it
}

// reply is an answer of the API.
type reply struct {
	status int
	body   any // nil: no content
}

func ok(body any) reply { return reply{http.StatusOK, body} }

func refuse(status int, format string, args ...any) reply {
	return reply{status, map[string]string{
		"message": fmt.Sprintf(format, args...), "documentation_url": "https://docs.github.com/rest",
		"status": fmt.Sprint(status),
	}}
}

func notFound() reply { return refuse(http.StatusNotFound, "Not Found") }

func (p reply) send(w http.ResponseWriter) {
	if p.body == nil {
		w.WriteHeader(p.status)
		return
	}
	answer(w, p.status, p.body)
}

// maxBody is how much of a request is read, in bytes.
const maxBody = 1 << 20

// decode reads a request's JSON body.
func (r *request) decode(into any) (refusal *reply) {
	raw, err := io.ReadAll(io.LimitReader(r.Body, maxBody))
	if err == nil {
		err = json.Unmarshal(raw, into)
	}
	if err != nil {
		p := refuse(http.StatusBadRequest, "Problems parsing JSON")
		return &p
	}
	return nil
}
