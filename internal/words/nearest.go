package words

import (
	"math"
	"strings"
)

// Nearest returns the name that is most like the one given, "" if none is. Letter case and how words are joined do not
// count: dryRun, dry_run and dry-run are one. A part of five letters or more is like the name that it is a part of.
func Nearest(given string, names []string) string {
	best, least := "", math.MaxInt
	given = bare(given)
	for _, name := range names {
		text := bare(name)
		most := len(text) / 4
		if len(given) >= 5 && strings.Contains(text, given) {
			most = len(text)
		}
		if max(len(given)-len(text), len(text)-len(given)) > most {
			continue // no need to count
		}
		if d := editDistance(given, text); d <= most && d < least {
			best, least = name, d
		}
	}
	return best
}

var joiners = strings.NewReplacer("_", "", "-", "", ".", "")

// bare is a name without what joins its words.
func bare(name string) string { return joiners.Replace(strings.ToLower(name)) }

// editDistance counts the letters to add, remove or replace that make b of a.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		corner := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := corner
			if a[i] != b[j] {
				cost++
			}
			corner = row[j+1]
			row[j+1] = min(cost, row[j]+1, corner+1)
		}
	}
	return row[len(b)]
}
