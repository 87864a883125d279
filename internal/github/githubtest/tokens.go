package githubtest

import (
	"net/http"
	"slices"
	"strings"
)

// Tokens that every server accepts. They look like real ones and open nothing elsewhere.
const (
	// DefaultToken is a fine-grained personal access token with every permission.
	DefaultToken = "github_pat_11AAAAAAA0sandboxsandbox_everythingthatthereisinthissandbox"
	// JobToken is a job's GITHUB_TOKEN, which has access to neither secrets nor variables, and may write comments.
	JobToken = "ghs_sandboxtokenofthisjobonly0123456789"
)

// Token is a caller's credential.
type Token struct {
	// Secret is the token itself. It begins with ghs_ if it is an App's, as a job's own token is.
	Secret string
	// Permissions are levels ("read", "write") by GitHub's names, as in X-Accepted-GitHub-Permissions: secrets,
	// environments, actions_variables, organization_secrets, organization_actions_variables, issues, pull_requests,
	// metadata.
	Permissions map[string]string
	// Only are the repositories (owner/repo) and organizations that the token gives access to. Empty: all.
	Only []string
	// Login is that of the account that the token acts for. Empty: octocat, or github-actions[bot] for an App's.
	Login string
	// Expired tokens are refused.
	Expired bool
}

func everything() map[string]string {
	all := map[string]string{"metadata": "read"}
	for _, name := range []string{"secrets", "environments", "actions_variables", "organization_secrets",
		"organization_actions_variables", "pull_requests"} {
		all[name] = "write"
	}
	return all
}

// AddToken adds or replaces a token.
func (s *Server) AddToken(t Token) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tokens[t.Secret] = &t
}

// token returns the token that a request is made with, nil if it is unknown or expired.
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

// allows reports whether the token has a permission, or one of several that are separated by "; ".
func (t *Token) allows(permission, level string) bool {
	return slices.ContainsFunc(strings.Split(permission, "; "), func(one string) bool {
		has := t.Permissions[one]
		return has == "write" || has == level
	})
}
