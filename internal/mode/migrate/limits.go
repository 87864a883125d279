package migrate

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/input"
	"github.com/org/neon-tenants-action/internal/migration"
	"github.com/org/neon-tenants-action/internal/words"
)

// rehearsalLimits bound what a tenant's rehearsal may show. A limit that is not set is -1.
type rehearsalLimits struct {
	rewrite   int64         // bytes of one table that is rewritten
	exclusive time.Duration // for which one table's reads are kept waiting
	duration  time.Duration // of all files
}

var noLimits = rehearsalLimits{-1, -1, -1}

// limitShape is one limit, such as rewrite>1GB.
var limitShape = regexp.MustCompile(`^(rewrite|exclusive|duration)\s*>\s*(.+)$`)

// parseLimits reads "rewrite>1GB, exclusive>2s, duration>10m". Its error says what to write instead.
func parseLimits(text string) (rehearsalLimits, error) {
	l := noLimits
	for _, entry := range strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == '\n' }) {
		entry = strings.TrimSpace(entry)
		if entry == "" {
			continue
		}
		m := limitShape.FindStringSubmatch(entry)
		if m == nil {
			return noLimits, fmt.Errorf("%q is none of rewrite>SIZE, exclusive>DURATION and duration>DURATION; write for "+
				"example rewrite>1GB, exclusive>2s, duration>10m", entry)
		}
		if err := l.set(m[1], m[2]); err != nil {
			return noLimits, fmt.Errorf("%q: %w", entry, err)
		}
	}
	return l, nil
}

func (l *rehearsalLimits) set(name, value string) (err error) {
	switch name {
	case "rewrite":
		if l.rewrite != -1 {
			return errTwice
		}
		l.rewrite, err = input.ParseSize(value)
	case "exclusive":
		if l.exclusive != -1 {
			return errTwice
		}
		l.exclusive, err = parseLimitDuration(value)
	case "duration":
		if l.duration != -1 {
			return errTwice
		}
		l.duration, err = parseLimitDuration(value)
	}
	return err
}

var errTwice = errors.New("the limit is there twice; give it once")

func parseLimitDuration(text string) (time.Duration, error) {
	d, err := input.ParseDurationOrZero(text)
	if err != nil {
		return 0, fmt.Errorf("%q is no duration; write for example 500ms, 2s or 10m", text)
	}
	return d, nil
}

// judge returns an error if a tenant's rehearsal is over a limit, or if that cannot be told.
func (l rehearsalLimits) judge(r *rehearsed) error {
	if l != noLimits && r.copy == onSchema {
		return fleet.WithRemedy(errors.New("rehearse-fail-on cannot be measured, because the copy has no data: the "+
			"database is large, or others are connected to it"), "leave rehearse-fail-on out, or rehearse such tenants apart; "+
			"no tenant was touched")
	}
	if over := l.exceeded(r.traces); len(over) > 0 {
		return fleet.WithRemedy(fmt.Errorf("rehearse-fail-on does not allow this: %s", words.List(over, 3)),
			"write the file in a safer form (the summary has one where it is known), or raise the limit; no tenant was touched")
	}
	return nil
}

// exceeded says which limits a tenant's rehearsal is over, each with what was seen; nil if it is over none.
func (l rehearsalLimits) exceeded(traces []migration.Trace) (over []string) {
	var total time.Duration
	for _, t := range traces {
		total += t.Elapsed
		for _, r := range t.Rewrites {
			if l.rewrite >= 0 && r.Bytes > l.rewrite {
				over = append(over, fmt.Sprintf("%s rewrites %s, %s (rewrite>%s)", t.File, r.Table,
					words.Size(r.Bytes), strings.ReplaceAll(words.Size(l.rewrite), " ", "")))
			}
		}
		for _, k := range t.Locks {
			if l.exclusive >= 0 && k.Mode == "ACCESS EXCLUSIVE" && k.Held > l.exclusive {
				over = append(over, fmt.Sprintf("%s holds ACCESS EXCLUSIVE on %s for %s (exclusive>%s)", t.File, k.Table,
					words.Duration(k.Held), words.Setting(l.exclusive)))
			}
		}
	}
	if l.duration >= 0 && total > l.duration {
		over = append(over, fmt.Sprintf("its files take %s (duration>%s)", words.Duration(total),
			words.Setting(l.duration)))
	}
	return over
}

// estimate is how long a run takes whose tenants take these times, in this order, so many at once.
func estimate(times []time.Duration, concurrency int) time.Duration {
	workers := make([]time.Duration, max(1, min(concurrency, len(times))))
	for _, d := range times {
		i := slices.Index(workers, slices.Min(workers))
		workers[i] += d
	}
	return slices.MaxFunc(workers, func(a, b time.Duration) int { return cmp.Compare(a, b) })
}
