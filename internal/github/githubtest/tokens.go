package githubtest

import (
	"net/http"
	"slices"
	"strings"
)

// Tokens that every server knows. They have the shape of real ones and open nothing elsewhere.
const (
	// DefaultToken is a fine-grained personal access token that may do everything there is.
	DefaultToken = "github_pat_11AAAAAAA0sandboxsandbox_everythingthatthereisinthissandbox"
	// JobToken is a job's GITHUB_TOKEN, which sees neither secrets nor variables.
	JobToken = "ghs_sandboxtokenofthisjobonly0123456789"
)

// Token is who calls.
type Token struct {
	// Secret is the token itself. One that begins with ghs_ is an App's, as a job's own is.
	Secret string
	// Permissions are levels ("read", "write") by GitHub's names, as in X-Accepted-GitHub-Permissions: secrets, environments,
	// actions_variables, organization_secrets, organization_actions_variables, metadata.
	Permissions map[string]string
	// Only are the repositories (owner/repo) and organizations that the token sees; empty: all.
	Only []string
	// Expired tokens are known no more.
	Expired bool
}

func everything() map[string]string {
	all := map[string]string{"metadata": "read", "actions": "read"}
	for _, name := range []string{"secrets", "environments", "actions_variables", "organization_secrets", "organization_actions_variables"} {
		all[name] = "write"
	}
	return all
}

// AddToken makes a token known, or changes it.
func (s *Server) AddToken(t Token) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tokens[t.Secret] = &t
}

// token is the one that a request is made with, nil for none that is known.
func (s *Server) token(r *http.Request) *Token {
	kind, secret, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(kind, "bearer") && !strings.EqualFold(kind, "token") {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if t := s.tokens[secret]; t != nil && !t.Expired {
		return t
	}
	return nil
}

func (t *Token) covers(name string) bool {
	return len(t.Only) == 0 || slices.ContainsFunc(t.Only, func(one string) bool { return strings.EqualFold(one, name) })
}

func (t *Token) allows(permission, level string) bool {
	has := t.Permissions[permission]
	return has == "write" || has == level
}
