package report

import (
	"bytes"
	"fmt"
	"strings"
	"time"

	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/words"
)

// Waves are what became of a run's waves. The zero value is a run without any.
type Waves struct {
	// Reached is the number of the last wave that was reached; 0 if the run ended before the first.
	Reached int
	Each    []fleet.WaveResult
}

// WavesOf returns a run's waves as [fleet.Run] does.
func WavesOf(results []fleet.WaveResult) Waves {
	w := Waves{Each: results}
	for i, one := range results {
		if !one.Started.IsZero() {
			w.Reached = i + 1
		}
	}
	return w
}

// inWave counts the results of one wave; 0 are the tenants beyond the last.
func (r Run) inWave(number int) (t Totals) {
	for i := range r.Results {
		if r.Results[i].Wave == number {
			t.count(r.Results[i].State)
		}
	}
	return t
}

// WaveEnded prints how a wave ended, and how long the run now waits for the next.
func (p *Progress) WaveEnded(w fleet.WaveEnd) {
	var b bytes.Buffer
	appendLine(&b, waveLine(w, time.Now()))
	p.mu.Lock()
	defer p.mu.Unlock()
	p.console.write(&b)
}

// waveLine says how a wave ended: "wave 2 of 4 done (39 succeeded in 3m): pausing 10m until 14:23:05 UTC".
func waveLine(w fleet.WaveEnd, now time.Time) string {
	text := fmt.Sprintf("wave %d of %d", w.Number, w.Of)
	if w.Canary {
		text += ", the canaries,"
	}
	if len(w.Results) == 0 {
		return text + " has no tenants of its own"
	}
	verb := "done"
	if w.Stopped && w.Number < w.Of {
		verb = "ended, and no other is started"
	}
	text += fmt.Sprintf(" %s (%s in %s)", verb, Run{Results: w.Results}.Totals().states(), words.Duration(w.Elapsed))
	switch {
	case w.Pause > 0:
		end := now.Add(w.Pause).UTC()
		at := end.Format("15:04:05 UTC")
		if end.Format(time.DateOnly) != now.UTC().Format(time.DateOnly) {
			at = end.Format("2006-01-02 15:04:05 UTC")
		}
		text += fmt.Sprintf(": pausing %s until %s", words.Setting(w.Pause), at)
	case w.Needless:
		text += ": no pause, because nothing was changed"
	}
	return text
}

// states lists the states that tenants ended in: "38 succeeded, 1 failed".
func (t Totals) states() string {
	var states []string
	for _, c := range []struct {
		n    int
		word fleet.State
	}{
		{t.Succeeded, fleet.Succeeded}, {t.Unchanged, fleet.Unchanged}, {t.Failed, fleet.Failed}, {t.Skipped, fleet.Skipped},
	} {
		if c.n > 0 {
			states = append(states, fmt.Sprintf("%d %s", c.n, c.word))
		}
	}
	return strings.Join(states, ", ")
}

// waveRow is a wave in a table, or those beyond the last.
type waveRow struct {
	Number, Until string
	Took          string // empty if it was not reached
	Totals        Totals
}

// waveRows are the run's waves, and those beyond the last; none if the run has no waves.
func waveRows(r Run) (rows []waveRow) {
	if len(r.Waves.Each) == 0 {
		return nil
	}
	for i, w := range r.Waves.Each {
		row := waveRow{Number: fmt.Sprint(i + 1), Until: w.Until, Totals: r.inWave(i + 1)}
		if w.Canary {
			row.Until = "canaries"
		}
		if !w.Started.IsZero() {
			row.Took = words.Duration(w.Elapsed)
		}
		rows = append(rows, row)
	}
	if beyond := r.inWave(0); beyond.Total > 0 {
		rows = append(rows, waveRow{Number: "–", Until: "not in this run", Totals: beyond})
	}
	return rows
}

// wavesTable shows each wave, and those beyond the last; "" if there are none.
func wavesTable(r Run) string {
	rows := waveRows(r)
	if len(rows) == 0 {
		return ""
	}
	var b strings.Builder
	b.WriteString("### Waves\n\n" + reachedText(r) + "\n\n")
	b.WriteString("| Wave | Until | Tenants | Succeeded | Unchanged | Failed | Skipped | Took |\n" +
		"|--:|:--|--:|--:|--:|--:|--:|--:|\n")
	for _, row := range rows {
		t := row.Totals
		fmt.Fprintf(&b, "| %s | %s | %d |", row.Number, prose(row.Until), t.Total)
		for _, n := range []int{t.Succeeded, t.Unchanged, t.Failed, t.Skipped} {
			if n == 0 {
				b.WriteString("  |")
			} else {
				fmt.Fprintf(&b, " %d |", n)
			}
		}
		b.WriteString(" " + row.Took + " |\n")
	}
	return b.String() + "\n"
}

// reachedText says how far the run got.
func reachedText(r Run) string {
	reached, all := r.Waves.Reached, len(r.Waves.Each)
	switch {
	case len(r.Merged) > 0 && reached == 0:
		return "Not every shard reached a wave."
	case len(r.Merged) > 0:
		return fmt.Sprintf("Every shard got to wave %d of %d at least.", reached, all)
	case reached == 0:
		return "No wave was reached."
	}
	return fmt.Sprintf("The run got to wave %d of %d.", reached, all)
}
