package report

import (
	"cmp"
	"regexp"
	"slices"
	"strings"

	"github.com/org/neon-tenants-action/internal/fleet"
)

// failure is one way in which one or more tenants failed.
type failure struct {
	// text is the error, generalized if several tenants share it.
	text    string
	remedy  string
	file    string
	line    int
	results []fleet.Result
}

// maxCompared is how much of a text is compared and shown, in bytes. A server's message can be as long as a statement.
const maxCompared = 4 << 10

// failures groups the failed tenants by error, remedy and place, the largest group first.
func failures(results []fleet.Result) []failure {
	type key struct {
		text, remedy, file string
		line               int
	}
	index := map[key]int{}
	var all []failure
	for _, r := range results {
		if r.State != fleet.Failed {
			continue
		}
		file, line := fleet.Location(r.Err)
		remedy := clip(fleet.Remedy(r.Err), maxCompared)
		text := clip(errorText(r.Err), maxCompared)
		general := generalize(text, r.Tenant)
		k := key{general, generalize(remedy, r.Tenant), file, line}
		i, seen := index[k]
		if !seen {
			i = len(all)
			index[k] = i
			all = append(all, failure{text: text, remedy: remedy, file: file, line: line})
		} else {
			all[i].text, all[i].remedy = k.text, k.remedy
		}
		all[i].results = append(all[i].results, r)
	}
	slices.SortStableFunc(all, func(a, b failure) int { return cmp.Compare(len(b.results), len(a.results)) })
	return all
}

// warnings groups the tenants' warnings by text, as [failures] does.
func warnings(results []fleet.Result) []failure {
	index := map[string]int{}
	var all []failure
	for _, r := range results {
		for _, w := range r.Outcome.Warnings {
			w = clip(w, maxCompared)
			general := generalize(w, r.Tenant)
			i, seen := index[general]
			if !seen {
				i = len(all)
				index[general] = i
				all = append(all, failure{text: w})
			} else {
				all[i].text = general
			}
			all[i].results = append(all[i].results, r)
		}
	}
	slices.SortStableFunc(all, func(a, b failure) int { return cmp.Compare(len(b.results), len(a.results)) })
	return all
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
