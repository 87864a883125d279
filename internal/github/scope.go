package github

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"
)

// Scope is where secrets and variables are kept: in a repository, in one of its environments, or in an organization.
type Scope struct {
	// Repository is "owner/repo". In an organization it is the one that a new secret is given to where the visibility is
	// "selected".
	Repository string
	// Environment is one of the repository's, by its name. Empty: none.
	Environment string
	// Organization is the organization's login. Empty: none.
	Organization string
	// Visibility is which repositories see a new secret of an organization: "all", "private" or "selected". Empty: "private".
	Visibility string
}

// MaxValue is the longest value of a secret or a variable in bytes.
const MaxValue = 48 << 10

// Limit is how many secrets there may be.
func (s Scope) Limit() int {
	if s.Organization != "" {
		return 1000
	}
	return 100
}

func (s Scope) String() string {
	switch {
	case s.Organization != "":
		return "organization " + s.Organization
	case s.Environment != "":
		return fmt.Sprintf("environment %s of %s", s.Environment, s.Repository)
	}
	return "repository " + s.Repository
}

var (
	repository   = regexp.MustCompile(`^[A-Za-z0-9](?:[A-Za-z0-9_-]*[A-Za-z0-9_])?/[A-Za-z0-9._-]{1,100}$`)
	organization = regexp.MustCompile(`^[A-Za-z0-9](?:[A-Za-z0-9_-]*[A-Za-z0-9_])?$`)
)

// Check returns what GitHub would not take about s, nil if nothing.
func (s Scope) Check() error {
	if s.Organization != "" {
		switch {
		case s.Environment != "":
			return errors.New("an environment is a repository's, not an organization's")
		case !organization.MatchString(s.Organization):
			return fmt.Errorf("%q is not the name of an organization", s.Organization)
		case s.Visibility != "" && s.Visibility != "all" && s.Visibility != "private" && s.Visibility != "selected":
			return fmt.Errorf("%q is no visibility: it is all, private or selected", s.Visibility)
		}
		if s.Visibility != "selected" || s.Repository == "" {
			return nil
		}
	}
	if name := s.Repository[strings.IndexByte(s.Repository, '/')+1:]; !repository.MatchString(s.Repository) || name == "." || name == ".." {
		return fmt.Errorf("%q is not a repository as owner/repo", s.Repository)
	}
	if s.Environment == "." || s.Environment == ".." || len(s.Environment) > 255 {
		return fmt.Errorf("%q is not the name of an environment", s.Environment)
	}
	return nil
}

// path is where the secrets or the variables (kind) are.
func (s Scope) path(kind string) string {
	switch {
	case s.Organization != "":
		return "orgs/" + s.Organization + "/actions/" + kind
	case s.Environment != "":
		return "repos/" + s.Repository + "/environments/" + url.PathEscape(s.Environment) + "/" + kind
	}
	return "repos/" + s.Repository + "/actions/" + kind
}

// permission is what a token must be allowed, as the page of a fine-grained token or an App calls it.
type permission struct{ name, level string }

// needs is the permission for the secrets or the variables (kind).
func (s Scope) needs(kind, level string) permission {
	switch {
	case s.Organization != "":
		return permission{"Organization " + kind, level}
	case s.Environment != "":
		return permission{"Environments", level}
	}
	return permission{strings.ToUpper(kind[:1]) + kind[1:], level}
}

var name = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// CheckName returns what is wrong with the name of a secret or a variable by GitHub's rules, nil if nothing.
func CheckName(text string) error {
	switch {
	case text == "":
		return errors.New("a name may not be empty")
	case !name.MatchString(text):
		return fmt.Errorf("the name %q may only have letters, digits and underscores, and no digit first", text)
	case strings.HasPrefix(strings.ToUpper(text), "GITHUB_"):
		return fmt.Errorf("the name %q may not begin with GITHUB_", text)
	}
	return nil
}

// checked returns what GitHub would not take of a call.
func checked(s Scope, name string) error {
	if err := s.Check(); err != nil {
		return err
	}
	return CheckName(name)
}
