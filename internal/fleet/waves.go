package fleet

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// Waves are the groups of tenants that a run works on one after the other. None are one group of all tenants.
type Waves []Wave

// Wave is one group.
type Wave struct {
	// Size is how many tenants it has. A wave whose tenants are all in earlier ones has none.
	Size int
	// Until is where it ends, as the input waves has it: "10%". Empty if Canary.
	Until string
	// Canary is true if its tenants are the canaries: all of them must succeed, whatever [Options] allow.
	Canary bool
}

// Canaries is how many of the first tenants are canaries.
func (w Waves) Canaries() int {
	if len(w) > 0 && w[0].Canary {
		return w[0].Size
	}
	return 0
}

// Within returns those of a plan's tenants that are in a wave.
func (w Waves) Within(tenants []Tenant) []Tenant {
	if len(w) == 0 {
		return tenants
	}
	n := 0
	for _, one := range w {
		n += one.Size
	}
	return tenants[:min(n, len(tenants))]
}

// Number returns the number of the wave, from 1, that the tenant at this index of a plan is in, and 0 if there are no
// waves or the tenant is beyond the last.
func (w Waves) Number(index int) int {
	end := 0
	for i, one := range w {
		if end += one.Size; index < end {
			return i + 1
		}
	}
	return 0
}

// WaveResult is what became of a wave.
type WaveResult struct {
	Wave
	// Started is when the wave was reached; zero if it was not.
	Started time.Time
	// Elapsed is the time until its last tenant finished.
	Elapsed time.Duration
}

// WaveEnd is the moment at which a wave has ended.
type WaveEnd struct {
	WaveResult
	Number, Of int
	Results    []Result
	// Stopped is true if no further wave starts because of what happened.
	Stopped bool
	// Pause is how long the run now waits for the next wave. Needless is true if it would, and does not because the wave
	// has changed nothing.
	Pause    time.Duration
	Needless bool
}

// WaveSizes says how large the waves of a fleet are. Each size includes the waves before it. The zero value, and 100%
// alone, are one wave of everybody.
type WaveSizes struct{ untils []share }

// ParseWaves reads sizes separated by commas or line breaks: "1, 10%, 50%, 100%". Its error says what to write instead.
func ParseWaves(text string) (WaveSizes, error) {
	const example = "write for example 1, 10%, 50%, 100%"
	var w WaveSizes
	entries := strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == '\n' || r == '\r' })
	for _, entry := range entries {
		if entry = strings.TrimSpace(entry); entry == "" {
			continue
		}
		s, ok := parseShare(entry)
		if !ok || s.count == 0 && s.percent == 0 {
			return WaveSizes{}, fmt.Errorf("%q is neither a count of 1 or more nor a percentage above 0%% and up to 100%%; %s",
				entry, example)
		}
		for _, earlier := range w.untils {
			switch {
			case earlier.everybody():
				return WaveSizes{}, fmt.Errorf("%q comes after 100%%, which is every tenant; end the list there, or put it "+
					"before", entry)
			case earlier.relative == s.relative && earlier.count >= s.count && earlier.percent >= s.percent:
				return WaveSizes{}, fmt.Errorf("%q comes after %q and is not larger; each size includes the waves before it, so "+
					"%s", entry, earlier, example)
			}
		}
		w.untils = append(w.untils, s)
	}
	if len(w.untils) == 0 {
		return WaveSizes{}, fmt.Errorf("%q names no wave; %s", text, example)
	}
	return w, nil
}

func (s share) everybody() bool { return s.relative && s.percent == 100 }

// of is the share's number of tenants among total, rounded up.
func (s share) of(total int) int {
	if !s.relative {
		return min(s.count, total)
	}
	const tolerance = 1e-9 // of the multiplication: 7% of 100 is 7
	return min(int(math.Ceil(s.percent*float64(total)/100-tolerance)), total)
}

// Asked reports whether there is to be more than one wave, or one that leaves tenants out.
func (w WaveSizes) Asked() bool {
	return len(w.untils) > 1 || len(w.untils) == 1 && !w.untils[0].everybody()
}

// String writes the sizes as [ParseWaves] reads them.
func (w WaveSizes) String() string {
	texts := make([]string, len(w.untils))
	for i, s := range w.untils {
		texts[i] = s.String()
	}
	return strings.Join(texts, ", ")
}

// Plan puts tenants, of which the first are canaries, in the order of their waves: the canaries, then as the sizes say,
// which include them, and at the end those beyond the last wave. Within a wave they keep their order. There are no
// waves if none are asked for.
func (w WaveSizes) Plan(tenants []Tenant, canaries int) ([]Tenant, Waves) {
	var waves Waves
	if canaries > 0 {
		waves = append(waves, Wave{Size: canaries, Canary: true})
	}
	switch {
	case w.Asked():
	case canaries > 0: // the others are one wave
		w = WaveSizes{[]share{{relative: true, percent: 100}}}
	default:
		return tenants, nil
	}
	rank := ranks(tenants, canaries)
	bounds, reached := []int{canaries}, canaries
	for _, s := range w.untils {
		until := max(reached, s.of(len(tenants)))
		waves = append(waves, Wave{Size: until - reached, Until: s.String()})
		bounds, reached = append(bounds, until), until
	}
	wave := func(t Tenant) int { // how many bounds the tenant is beyond
		n, _ := slices.BinarySearch(bounds, rank[t.ID]+1)
		return n
	}
	ordered := slices.Clone(tenants)
	slices.SortStableFunc(ordered, func(a, b Tenant) int { return cmp.Compare(wave(a), wave(b)) })
	return ordered, waves
}

// ranks numbers the tenants, by their ids, in the order in which waves take them: the canaries as they come, the others
// by a hash of their ids alone. So a tenant that is early in the fleet is early in its shard too, and one that comes or
// goes moves at most one other across each bound.
func ranks(tenants []Tenant, canaries int) map[string]int {
	order := slices.Clone(tenants)
	hashes := make(map[string][sha256.Size]byte, len(order))
	for _, t := range order {
		// Not the shard's hash: a shard would be early or late as a whole.
		hashes[t.ID] = sha256.Sum256([]byte("wave\x00" + t.ID))
	}
	slices.SortFunc(order[canaries:], func(a, b Tenant) int {
		hashA, hashB := hashes[a.ID], hashes[b.ID]
		return bytes.Compare(hashA[:], hashB[:])
	})
	rank := make(map[string]int, len(order))
	for i, t := range order {
		rank[t.ID] = i
	}
	return rank
}
