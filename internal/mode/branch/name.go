package branch

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
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

// maxLife is the longest that Neon lets a branch live that expires.
const maxLife = 30 * day

const day = 24 * time.Hour

func (p *previews) readLife(in *input.Reader) {
	p.life = input.Parse(in, "branch-expires-in", parseLife)
	// The runner's clock may be ahead of Neon's, for which the last minute of 30 days would be too late.
	p.life = min(p.life, maxLife-time.Minute)
}

var days = regexp.MustCompile(`^([0-9]{1,3})d(.*)$`)

// parseLife reads a duration that may begin with days: 36h, 7d or 1d12h.
func parseLife(text string) (time.Duration, error) {
	var whole, rest time.Duration
	var err error
	part := text
	if m := days.FindStringSubmatch(text); m != nil {
		n, _ := strconv.Atoi(m[1]) // three digits
		whole, part = time.Duration(n)*day, m[2]
	}
	if part != "" {
		rest, err = time.ParseDuration(part)
	}
	if life := whole + rest; err == nil && rest >= 0 && life >= time.Minute && life <= maxLife {
		return life, nil
	}
	return 0, fmt.Errorf("%q is not a duration from 1m to 30d, the longest that Neon allows; write for example 12h or 7d",
		text)
}
