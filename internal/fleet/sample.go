package fleet

import "fmt"

// Sample is a part of the tenants, at least one of them: a count, or a percentage that is rounded up.
type Sample struct{ share }

// ParseSample reads a count ("5") or a percentage ("10%"). Its error says what to write instead.
func ParseSample(text string) (Sample, error) {
	s, ok := parseShare(text)
	if !ok || s.of(1_000_000_000) == 0 {
		return Sample{}, fmt.Errorf("%q is neither a count of 1 or more nor a percentage from above 0%% to 100%%; "+
			"write for example 5 or 10%%", text)
	}
	return Sample{s}, nil
}

// Of is how many of a number of tenants the sample is.
func (s Sample) Of(total int) int { return s.of(total) }
