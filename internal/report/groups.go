package report

import (
	"cmp"
	"regexp"
	"slices"
	"strings"

	"github.com/org/neon-tenants-action/internal/fleet"
)

// problem is an error or a warning that one or more tenants have.
type problem struct {
	// text is the error or the warning, generalized if several tenants share it.
	text    string
	remedy  string
	file    string
	line    int
	results []*fleet.Result // of the run
}

// maxCompared is how much of a text is compared and shown, in bytes. A server's message can be as long as a statement.
const maxCompared = 4 << 10

// failures groups the failed tenants by error, remedy and place, the largest group first.
func failures(results []fleet.Result) []problem {
	var g grouping
	for i := range results {
		if r := &results[i]; r.State == fleet.Failed {
			file, line := fleet.Location(r.Err)
			g.add(r, problem{text: errorText(r.Err), remedy: fleet.Remedy(r.Err), file: file, line: line})
		}
	}
	return g.largestFirst()
}

// warnings groups the tenants' warnings by text, the largest group first.
func warnings(results []fleet.Result) []problem {
	var g grouping
	for i := range results {
		r := &results[i]
		for _, w := range r.Outcome.Warnings {
			g.add(r, problem{text: w})
		}
	}
	return g.largestFirst()
}

// grouping collects problems that are the same but for the tenants' own words.
type grouping struct {
	problems []problem
	index    map[groupKey]int // into problems
}

type groupKey struct {
	text, remedy, file string
	line               int
}

// add adds a tenant's problem to those that are like it.
func (g *grouping) add(r *fleet.Result, p problem) {
	p.text, p.remedy = clip(p.text, maxCompared), clip(p.remedy, maxCompared)
	k := groupKey{generalize(p.text, r.Tenant), generalize(p.remedy, r.Tenant), p.file, p.line}
	i, seen := g.index[k]
	if seen {
		g.problems[i].text, g.problems[i].remedy = k.text, k.remedy
	} else {
		if g.index == nil {
			g.index = map[groupKey]int{}
		}
		i = len(g.problems)
		g.index[k] = i
		g.problems = append(g.problems, p)
	}
	g.problems[i].results = append(g.problems[i].results, r)
}

// largestFirst sorts the problems by their number of tenants, and those of one size by their first appearance.
func (g *grouping) largestFirst() []problem {
	slices.SortStableFunc(g.problems, func(a, b problem) int { return cmp.Compare(len(b.results), len(a.results)) })
	return g.problems
}

// ownWords matches Neon's host names and IP addresses, which differ between tenants that failed in the same way.
var ownWords = regexp.MustCompile(`\bep-[a-z0-9]+(?:-[a-z0-9]+)+(?:\.[a-z0-9-]+)*|\b\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?\b`)

// generalize replaces a tenant's own name, id, key and host in a text by placeholders, so that the same error reads the
// same for every tenant.
func generalize(text string, t fleet.Tenant) string {
	if strings.ContainsRune(text, '.') { // saves nearly every text the slow search
		text = ownWords.ReplaceAllString(text, "‹host›")
	}
	own := []string{t.Name, t.ID, t.Key, strings.ReplaceAll(t.Key, "-", "_")}
	slices.SortStableFunc(own, func(a, b string) int { return cmp.Compare(len(b), len(a)) })
	for _, word := range own {
		text = replaceWord(text, word, "‹tenant›")
	}
	return text
}

// replaceWord replaces whole words: those with no letter, digit or underscore on either side. Words of fewer than three
// bytes are left alone: they usually mean something else.
func replaceWord(text, word, with string) string {
	if len(word) < 3 || !strings.Contains(text, word) {
		return text
	}
	var b strings.Builder
	for i := 0; ; {
		at := strings.Index(text[i:], word)
		if at < 0 {
			b.WriteString(text[i:])
			return b.String()
		}
		start, end := i+at, i+at+len(word)
		b.WriteString(text[i:start])
		if start > 0 && isWordByte(text[start-1]) || end < len(text) && isWordByte(text[end]) {
			b.WriteString(word)
		} else {
			b.WriteString(with)
		}
		i = end
	}
}

func isWordByte(c byte) bool {
	return c == '_' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= 0x80
}
