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
)

// Progress writes a run's log as it happens: a line for each tenant that finished, the log of each that failed, and a
// sign of life where nothing finishes. It observes a fleet's run and is safe for concurrent use.
type Progress struct {
	// Quiet is how long nothing may finish before a heartbeat, and the time between heartbeats. It may be set before
	// the first tenant starts.
	Quiet time.Duration

	console *Console
	total   int

	mu       sync.Mutex
	finished int
	running  map[fleet.Tenant]time.Time
	skipped  map[string]int // by reason
	reasons  []string       // of skipped, in order of appearance
	last     time.Time      // when a tenant last finished, or the first one started
	stop     chan struct{}  // nil until the heartbeat runs
	stopped  bool
	done     sync.WaitGroup
}

// NewProgress returns the progress of a run over total tenants. Stop must be called at the run's end.
func NewProgress(c *Console, total int) *Progress {
	return &Progress{Quiet: 15 * time.Second, console: c, total: total, running: map[fleet.Tenant]time.Time{}, skipped: map[string]int{}}
}

// Started notes that a worker took a tenant up.
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

// Finished prints what became of a tenant. Skipped tenants are counted here and told of by [Progress.Stop].
func (p *Progress) Finished(r fleet.Result) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.running, r.Tenant)
	p.finished++
	if r.State == fleet.Skipped {
		reason := "not started"
		if r.Err != nil {
			reason = firstLine(clip(r.Err.Error(), maxCompared))
		}
		if p.skipped[reason] == 0 {
			p.reasons = append(p.reasons, reason)
		}
		p.skipped[reason]++
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

// Stop ends the heartbeat and sums up the tenants that were skipped, a line for each reason. Calling it again does nothing.
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
	const most = 10
	var b bytes.Buffer
	for i, reason := range p.reasons {
		if i == most {
			rest := 0
			for _, reason := range p.reasons[i:] {
				rest += p.skipped[reason]
			}
			appendLine(&b, fmt.Sprintf("%s skipped for other reasons", tenants(rest)))
			break
		}
		appendLine(&b, fmt.Sprintf("%s skipped: %s", tenants(p.skipped[reason]), reason))
	}
	if b.Len() > 0 {
		p.console.write(&b)
	}
}

// beat prints a heartbeat whenever nothing finished for Quiet.
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

// heartbeat prints the line if it is due and returns how long to wait until it may be due again.
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
		slowest = append(slowest, r.name+" "+human(r.age))
	}
	waiting := max(p.total-p.finished-len(p.running), 0)
	p.console.Line(fmt.Sprintf("%s … nothing finished for %s: %d running, %d waiting; slowest: %s",
		p.counter(), human(quiet), len(p.running), waiting, strings.Join(slowest, ", ")))
	return p.Quiet
}

// counter writes how many tenants are finished, at a width that does not change during the run: "[ 37/500]".
func (p *Progress) counter() string {
	total := fmt.Sprint(p.total)
	return fmt.Sprintf("[%*d/%s]", len(total), p.finished, total)
}

// finishedLine describes a finished tenant in one line, its fields two spaces apart.
func finishedLine(r fleet.Result) string {
	if r.State == fleet.Failed {
		return displayName(r.Tenant) + "  failed  " + human(r.Elapsed) + "  " + clip(firstLine(clip(errorText(r.Err), maxCompared)), 400)
	}
	note := oneLine(r.Outcome.Note)
	if note == "" {
		note = string(r.State)
	}
	return displayName(r.Tenant) + "  " + note + "  " + human(r.Elapsed)
}

// failureLog is what stands in a failed tenant's group: its log, the whole error, the place and the remedy.
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

// displayName is a tenant's name as one line of at most 100 bytes, or its id where it has no name.
func displayName(t fleet.Tenant) string {
	const limit = 100
	name := oneLine(clip(t.Name, 4*limit))
	if name == "" {
		name = oneLine(clip(t.ID, 4*limit))
	}
	return clip(name, limit)
}

// errorText is an error's text, also where a result lost its error.
func errorText(err error) string {
	if err == nil {
		return "failed without an error"
	}
	return err.Error()
}

// tenants counts in words: "1 tenant", "12 tenants".
func tenants(n int) string {
	if n == 1 {
		return "1 tenant"
	}
	return fmt.Sprintf("%d tenants", n)
}
