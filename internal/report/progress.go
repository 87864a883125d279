package report

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/words"
)

// Progress writes a run's log as it happens: a line for each tenant that finished, the log of each that failed, and a
// heartbeat while nothing finishes. It is a [fleet.Observer] and safe for concurrent use.
type Progress struct {
	// Quiet is how long nothing finishes before a heartbeat, and the time from one heartbeat to the next. It may be
	// set before the first tenant starts.
	Quiet time.Duration
	// Label begins every line; empty for the run's own work. It may be set before the first tenant starts.
	Label string

	console *Console
	total   int

	mu       sync.Mutex
	finished int
	running  map[fleet.Tenant]time.Time
	counted  map[string]int // tenants without a line of their own, by what that line says of them
	phrases  []string       // of counted, in order of appearance
	last     time.Time      // when a tenant last finished, or the first one started
	stop     chan struct{}  // nil until the heartbeat runs
	stopped  bool
	done     sync.WaitGroup
}

// NewProgress returns the progress of a run over total tenants. Stop must be called at the end of the run.
func NewProgress(c *Console, total int) *Progress {
	return &Progress{
		Quiet: 15 * time.Second, console: c, total: total,
		running: map[fleet.Tenant]time.Time{}, counted: map[string]int{},
	}
}

// Started notes that a worker took up a tenant.
func (p *Progress) Started(t fleet.Tenant) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.running[t] = time.Now()
	if p.stop == nil && !p.stopped {
		p.last = time.Now()
		p.stop = make(chan struct{})
		p.done.Go(p.beat)
	}
}

// Finished prints how a tenant ended. Tenants that were not worked on are only counted: [Progress.Stop] prints them.
func (p *Progress) Finished(r fleet.Result) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.running, r.Tenant)
	p.finished++
	if r.State == fleet.Skipped || r.Outcome.Quiet {
		p.count(r)
		return
	}
	p.last = time.Now()

	var b bytes.Buffer
	appendLine(&b, p.counter()+" "+finishedLine(r))
	for _, w := range r.Outcome.Warnings {
		appendLine(&b, indent+"warning: "+oneLine(w))
	}
	if r.State == fleet.Failed {
		p.console.appendGroup(&b, "log of "+displayName(r.Tenant), failureLog(r))
	}
	// Under the lock, so that the counters in the log ascend.
	p.console.write(&b)
}

// count counts a tenant that has no line of its own. The caller holds p.mu.
func (p *Progress) count(r fleet.Result) {
	phrase := r.Outcome.Note
	if r.State == fleet.Skipped {
		phrase = "skipped: not started"
		if r.Err != nil {
			phrase = "skipped: " + firstLine(clip(r.Err.Error(), maxCompared))
		}
	}
	if p.counted[phrase] == 0 {
		p.phrases = append(p.phrases, phrase)
	}
	p.counted[phrase]++
}

// Stop ends the heartbeat and prints how many tenants were not worked on, a line for each reason. Calling it again does
// nothing.
func (p *Progress) Stop() {
	p.mu.Lock()
	if p.stopped {
		p.mu.Unlock()
		return
	}
	p.stopped = true
	if p.stop != nil {
		close(p.stop)
	}
	p.mu.Unlock()
	p.done.Wait()

	p.mu.Lock()
	defer p.mu.Unlock()
	const shown = 10
	var b bytes.Buffer
	for i, phrase := range p.phrases {
		if i == shown {
			rest := 0
			for _, phrase := range p.phrases[i:] {
				rest += p.counted[phrase]
			}
			appendLine(&b, fmt.Sprintf("%s not worked on for other reasons", tenants(rest)))
			break
		}
		appendLine(&b, fmt.Sprintf("%s %s", tenants(p.counted[phrase]), phrase))
	}
	if b.Len() > 0 {
		p.console.write(&b)
	}
}

// beat prints a heartbeat whenever nothing has finished for Quiet.
func (p *Progress) beat() {
	timer := time.NewTimer(p.Quiet)
	defer timer.Stop()
	for {
		select {
		case <-p.stop:
			return
		case <-timer.C:
		}
		timer.Reset(p.heartbeat(time.Now()))
	}
}

// heartbeat prints the line if it is due, and returns how long until it may be due again.
func (p *Progress) heartbeat(now time.Time) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	quiet := now.Sub(p.last)
	if quiet < p.Quiet {
		return p.Quiet - quiet
	}
	if len(p.running) == 0 {
		return p.Quiet
	}
	waiting := max(p.total-p.finished-len(p.running), 0)
	p.console.Line(fmt.Sprintf("%s … nothing finished for %s: %d running, %d waiting; slowest: %s",
		p.counter(), words.Duration(quiet), len(p.running), waiting, strings.Join(p.slowest(now), ", ")))
	return p.Quiet
}

// slowest names the tenants that have been running longest, with their times. The caller holds p.mu.
func (p *Progress) slowest(now time.Time) []string {
	type runner struct {
		name string
		age  time.Duration
	}
	runners := make([]runner, 0, len(p.running))
	for t, since := range p.running {
		runners = append(runners, runner{displayName(t), now.Sub(since)})
	}
	slices.SortFunc(runners, func(a, b runner) int {
		return cmp.Or(cmp.Compare(b.age, a.age), strings.Compare(a.name, b.name))
	})
	const shown = 3
	var slowest []string
	for _, r := range runners[:min(shown, len(runners))] {
		slowest = append(slowest, r.name+" "+words.Duration(r.age))
	}
	return slowest
}

// counter writes how many tenants have finished, at a width that stays the same during the run: "[ 37/500]".
func (p *Progress) counter() string {
	total := fmt.Sprint(p.total)
	counter := fmt.Sprintf("[%*d/%s]", len(total), p.finished, total)
	if p.Label != "" {
		counter = p.Label + " " + counter
	}
	return counter
}

// finishedLine describes a finished tenant in one line, with two spaces between its fields.
func finishedLine(r fleet.Result) string {
	took := words.Duration(r.Elapsed)
	if r.State == fleet.Failed {
		return displayName(r.Tenant) + "  failed  " + took + "  " + shorten(errorText(r.Err))
	}
	note := oneLine(r.Outcome.Note)
	if note == "" {
		note = string(r.State)
	}
	return displayName(r.Tenant) + "  " + note + "  " + took
}

// failureLog is the body of a failed tenant's group: its log, the whole error, the place and the remedy.
func failureLog(r fleet.Result) []byte {
	var b bytes.Buffer
	if len(r.Log) > 0 {
		b.Write(bytes.TrimRight(r.Log, "\n"))
		b.WriteByte('\n')
	}
	b.WriteString("error: " + errorText(r.Err) + "\n")
	if file, line := fleet.Location(r.Err); file != "" {
		b.WriteString("at: " + position(file, line) + "\n")
	}
	if remedy := fleet.Remedy(r.Err); remedy != "" {
		b.WriteString("what to do: " + remedy + "\n")
	}
	return b.Bytes()
}

// displayName is a tenant's name as one line of at most 100 bytes, or its id if it has no name.
func displayName(t fleet.Tenant) string {
	const limit = 100
	name := oneLine(clip(t.Name, 4*limit))
	if name == "" {
		name = oneLine(clip(t.ID, 4*limit))
	}
	return clip(name, limit)
}

// shorten returns an error's first line, of at most 400 bytes.
func shorten(errorText string) string { return clip(firstLine(clip(errorText, maxCompared)), 400) }

// errorText is an error's text, even for a failed result that has none.
func errorText(err error) string {
	if err == nil {
		return "failed without an error"
	}
	return err.Error()
}
