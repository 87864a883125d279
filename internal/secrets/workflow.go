package secrets

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/org/neon-tenants-action/internal/fleet"
)

// The two comments that enclose the generated lines of a workflow file.
const (
	BeginMarker = "# neon-tenants:begin"
	EndMarker   = "# neon-tenants:end"
)

const addMarkers = "add these lines where the job sets its environment, with the indentation of that place:\n" +
	"env:\n  " + BeginMarker + "\n  " + EndMarker

// Rewrite returns a workflow file in which the lines between the markers are replaced by one line per name, sorted:
// NAME: ${{ secrets.NAME }}, with the indentation and the line ending of the begin marker. Everything else stays byte
// for byte. added and removed count the names that are new and those that are gone.
func Rewrite(file string, names []string) (text string, added, removed int, err error) {
	lines := slices.Collect(strings.Lines(file))
	begin, end, err := findMarkers(lines)
	if err != nil {
		return "", 0, 0, err
	}
	first := lines[begin]
	indentation := first[:strings.Index(first, BeginMarker)]
	ending := "\n"
	if strings.HasSuffix(first, "\r\n") {
		ending = "\r\n"
	}
	names = slices.Compact(slices.Sorted(slices.Values(names)))
	var before, after []string
	for _, line := range lines[begin+1 : end] {
		if name, _, ok := strings.Cut(strings.TrimSpace(line), ":"); ok && !strings.HasPrefix(name, "#") {
			before = append(before, name)
		}
	}
	for _, name := range names {
		after = append(after, fmt.Sprintf("%s%s: ${{ secrets.%s }}%s", indentation, name, name, ending))
		if !slices.Contains(before, name) {
			added++
		}
	}
	for _, name := range before {
		if !slices.Contains(names, name) {
			removed++
		}
	}
	return strings.Join(slices.Concat(lines[:begin+1], after, lines[end:]), ""), added, removed, nil
}

// findMarkers returns the line numbers of the two markers, from 0. There must be exactly one of each.
func findMarkers(lines []string) (begin, end int, err error) {
	begin, end = -1, -1
	for i, line := range lines {
		switch strings.TrimSpace(line) {
		case BeginMarker:
			if begin >= 0 {
				return 0, 0, errors.New("has the line " + BeginMarker + " twice; keep one pair of markers")
			}
			begin = i
		case EndMarker:
			if end >= 0 {
				return 0, 0, errors.New("has the line " + EndMarker + " twice; keep one pair of markers")
			}
			end = i
		}
	}
	switch {
	case begin < 0 && end < 0:
		return 0, 0, fleet.WithRemedy(errors.New("has no lines "+BeginMarker+" and "+EndMarker), addMarkers)
	case begin < 0:
		return 0, 0, fleet.WithRemedy(errors.New("has no line "+BeginMarker+" before its "+EndMarker), addMarkers)
	case end < begin:
		return 0, 0, fleet.WithRemedy(errors.New("has no line "+EndMarker+" after its "+BeginMarker), addMarkers)
	}
	return begin, end, nil
}
