package branch

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/org/neon-tenants-action/internal/input"
	"github.com/org/neon-tenants-action/internal/mode"
)

// readName reads the name of the branch, by default one for the pull request that the workflow's event is about.
func readName(in *input.Reader) string {
	name := in.String("branch-name")
	if name == "" {
		n := mode.PullRequest(in)
		if n == 0 {
			in.Mistake("branch-name", "is empty, and this workflow was not started by a pull request, whose number would "+
				"give preview/pr-NUMBER; give a name, such as dev/alice")
			return ""
		}
		name = fmt.Sprintf("preview/pr-%d", n)
	}
	if err := checkName(name); err != nil {
		in.Mistake("branch-name", "%v", err)
	}
	if name == in.String("neon-branch") {
		in.Mistake("branch-name", "%q is the branch of neon-branch, which the tenants are; give another name", name)
	}
	return name
}

// checkName returns how a name breaks Neon's rules, or those of a log.
func checkName(name string) error {
	const most = 256
	switch n := utf8.RuneCountInString(name); {
	case n > most:
		return fmt.Errorf("has %d characters, and Neon allows %d; give a shorter name", n, most)
	case !utf8.ValidString(name):
		return errors.New("is not valid UTF-8; give another name")
	case strings.ContainsFunc(name, unicode.IsControl):
		return fmt.Errorf("%q contains a line break or another control character; give a name without one", name)
	}
	return nil
}
