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
	// Repository is "owner/repo". In an organization, it is the repository that may read a new secret whose visibility
	// is "selected".
	Repository string
	// Environment is the name of one of the repository's environments. Empty: none.
	Environment string
	// Organization is the organization's login. Empty: none.
	Organization string
	// Visibility says which repositories may read an organization's new secret: "all", "private" or "selected". Empty:
	// "private".
	Visibility string
}

// MaxValue is the longest value of a secret or a variable, in bytes
// (https://docs.github.com/en/actions/reference/security/secrets).
const MaxValue = 48 << 10

// Limit returns how many secrets the scope may have.
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

// Check returns what GitHub would reject about s, or nil.
func (s Scope) Check() error {
	if s.Organization != "" {
		switch {
		case s.Environment != "":
			return errors.New("only a repository has environments, an organization has none")
		case !organization.MatchString(s.Organization):
			return fmt.Errorf("%q is not a valid organization name", s.Organization)
		case s.Visibility != "" && s.Visibility != "all" && s.Visibility != "private" && s.Visibility != "selected":
			return fmt.Errorf("%q is not a visibility: use all, private or selected", s.Visibility)
		}
		if s.Visibility != "selected" || s.Repository == "" {
			return nil
		}
	}
	if name := s.Repository[strings.IndexByte(s.Repository, '/')+1:]; !repository.MatchString(s.Repository) ||
		name == "." || name == ".." {
		return fmt.Errorf("%q is not a repository in the form owner/repo", s.Repository)
	}
	if s.Environment == "." || s.Environment == ".." || len(s.Environment) > 255 {
		return fmt.Errorf("%q is not a valid environment name", s.Environment)
	}
	return nil
}

// path is where the scope's secrets or variables (kind) are, relative to the API's address.
func (s Scope) path(kind string) string {
	switch {
	case s.Organization != "":
		return "orgs/" + s.Organization + "/actions/" + kind
	case s.Environment != "":
		return "repos/" + s.Repository + "/environments/" + url.PathEscape(s.Environment) + "/" + kind
	}
	return "repos/" + s.Repository + "/actions/" + kind
}

// permission is what a token needs, named as in the settings of a fine-grained token or an App.
type permission struct{ name, level string }

// needs is the permission for the scope's secrets or variables (kind): to write, since whoever reads them here writes
// them later, and a remedy has to name what both need.
func (s Scope) needs(kind string) permission {
	const level = "write"
	switch {
	case s.Organization != "":
		return permission{"Organization " + kind, level}
	case s.Environment != "":
		return permission{"Environments", level}
	}
	return permission{strings.ToUpper(kind[:1]) + kind[1:], level}
}

var name = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// CheckName returns how the name of a secret or a variable breaks GitHub's rules, or nil.
func CheckName(text string) error {
	switch {
	case text == "":
		return errors.New("the name is empty")
	case !name.MatchString(text):
		return fmt.Errorf("the name %q may contain only letters, digits and underscores, and not begin with a digit", text)
	case strings.HasPrefix(strings.ToUpper(text), "GITHUB_"):
		return fmt.Errorf("the name %q may not begin with GITHUB_", text)
	}
	return nil
}

// check is [Scope.Check] and [CheckName].
func check(s Scope, name string) error {
	if err := s.Check(); err != nil {
		return err
	}
	return CheckName(name)
}
