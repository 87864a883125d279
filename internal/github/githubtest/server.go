package githubtest

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

// EnterprisePath is where an enterprise's own server has its API; this one answers there too, as gh wants it.
const EnterprisePath = "/api/v3"

// Options make a server behave in other ways than GitHub's usual one. The zero value is ready to use.
type Options struct {
	// Listen is the address of the API; empty: 127.0.0.1 with a free port.
	Listen string
	// Host is the host in URL, where it is not the one that is listened on.
	Host string
	// Limits on calls; zero: GitHub's.
	Limits Limits
	// NumericKeyIDs gives keys ids that are JSON numbers, as enterprise servers do.
	NumericKeyIDs bool
}

// Server is GitHub's API for the secrets and variables of Actions. It opens every sealed box that it is given, and refuses what
// GitHub refuses, and what a client of GitHub's has no business to send.
type Server struct {
	// URL is the API's address once the server was started: what a runner gives as GITHUB_API_URL.
	URL string

	options Options
	routes  *http.ServeMux
	http    *http.Server
	served  chan struct{}

	limits limits
	faults faults
	calls  calls

	mu            sync.Mutex // guards what follows and everything in it
	tokens        map[string]*Token
	repositories  map[string]*repository   // by owner/repo in lower case
	organizations map[string]*organization // by login in lower case
	lastID        int64
}

// New returns a server that listens nowhere: an http.Handler. It knows [DefaultToken] and [JobToken].
func New(o Options) *Server {
	s := &Server{options: o, tokens: map[string]*Token{}, repositories: map[string]*repository{}, organizations: map[string]*organization{}, lastID: 74015237}
	s.limits.configure(o.Limits)
	s.AddToken(Token{Secret: DefaultToken, Permissions: everything()})
	s.AddToken(Token{Secret: JobToken, Permissions: map[string]string{"metadata": "read", "contents": "write", "actions": "write"}})
	s.routes = s.newRoutes()
	return s
}

// Start returns a server that listens until Close.
func Start(o Options) (*Server, error) {
	if o.Listen == "" {
		o.Listen = "127.0.0.1:0"
	}
	s := New(o)
	l, err := net.Listen("tcp", o.Listen)
	if err != nil {
		return nil, fmt.Errorf("serve GitHub's API: %w", err)
	}
	s.URL = "http://" + l.Addr().String()
	if o.Host != "" {
		s.URL = fmt.Sprintf("http://%s:%d", o.Host, l.Addr().(*net.TCPAddr).Port)
	}
	s.http, s.served = &http.Server{Handler: s, ReadHeaderTimeout: 10 * time.Second}, make(chan struct{})
	go func() {
		defer close(s.served)
		_ = s.http.Serve(l) // ErrServerClosed, by Close
	}()
	return s, nil
}

// Close stops a server that was started.
func (s *Server) Close() error {
	if s.http == nil {
		return nil
	}
	err := s.http.Close()
	<-s.served
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	prefix := ""
	if strings.HasPrefix(r.URL.Path, EnterprisePath+"/") {
		prefix = EnterprisePath
	}
	http.StripPrefix(prefix, s.routes).ServeHTTP(w, r)
}

// request is a call that has come through to the API itself, with what its path names.
type request struct {
	*http.Request
	repository   *repository
	organization *organization
	vault        *vault // of the scope
	header       http.Header
	base         string // the API's address as the client knows it
}

// reply is what the API says.
type reply struct {
	status int
	body   any // nil: no content
}

func ok(body any) reply { return reply{http.StatusOK, body} }

func refuse(status int, format string, args ...any) reply {
	return reply{status, map[string]string{
		"message": fmt.Sprintf(format, args...), "documentation_url": "https://docs.github.com/rest", "status": fmt.Sprint(status),
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

// maxBody bounds what is read of a request.
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
