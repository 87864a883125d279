package action

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/org/neon-tenants-action/internal/report"
	"github.com/org/neon-tenants-action/internal/servertest"
)

// newTen is a fleet of ten tenants, t01 to t10.
func newTen(t *testing.T) *organisation {
	t.Helper()
	return newFleet(t, named("t01", "t02", "t03", "t04", "t05", "t06", "t07", "t08", "t09", "t10")...)
}

// wave lists the tenants of a wave by their names; 0 are those beyond the last.
func (o outcome) wave(number int) []string {
	var names []string
	for _, e := range o.report.Tenants {
		if e.Wave == number {
			names = append(names, e.Name)
		}
	}
	return names
}

// sizes writes how many tenants each wave has.
func (o outcome) sizes(t *testing.T) string {
	t.Helper()
	if o.report.Waves == nil {
		t.Fatalf("the report has no waves:\n%s", o.log)
	}
	var sizes []string
	for _, w := range o.report.Waves.Each {
		sizes = append(sizes, fmt.Sprint(w.Totals.Total))
	}
	return strings.Join(sizes, " ")
}

func TestAFleetInWaves(t *testing.T) {
	f := newTen(t)
	o := f.run(t, t.Context(), "waves=1, 30%, 100%", "wave-pause=1ms")
	o.counts(t, 10, 0, 0, 0)
	o.says(t, "found 10 tenants, in 3 waves of 1, 2, 7; 10 at once", "wave 1 of 3 done (1 succeeded in ",
		"): pausing 1ms until ", "wave 3 of 3 done (7 succeeded in ")
	if got := o.sizes(t); got != "1 2 7" || o.outputs["wave-reached"] != "3" || o.report.Waves.Reached != 3 ||
		o.report.Waves.Beyond != 0 {
		t.Errorf("waves of %s, reached %q, %+v", got, o.outputs["wave-reached"], o.report.Waves)
	}
	if !strings.Contains(o.summary, "The run got to wave 3 of 3.") {
		t.Errorf("the summary has no waves:\n%s", o.summary)
	}

	t.Log("a second run has the same waves, and does not pause for nothing")
	again := f.run(t, t.Context(), "waves=1\n30%\n100%", "wave-pause=10h")
	again.counts(t, 0, 10, 0, 0)
	again.says(t, "wave 1 of 3 done (1 unchanged in ", "no pause, because nothing was changed")
	for wave := 1; wave <= 3; wave++ {
		if !slices.Equal(o.wave(wave), again.wave(wave)) {
			t.Errorf("wave %d was %v, and is %v", wave, o.wave(wave), again.wave(wave))
		}
	}

	t.Log("without waves nothing is said of any")
	o = f.run(t, t.Context(), "waves=100%")
	if _, set := o.outputs["wave-reached"]; set || o.report.Waves != nil || strings.Contains(o.summary, "### Waves") {
		t.Errorf("there are waves: %v, %+v\n%s", o.outputs, o.report.Waves, o.summary)
	}
}

func TestAFailureHoldsBackLaterWaves(t *testing.T) {
	f := newTen(t)
	second := f.run(t, t.Context(), "dry-run=true", "waves=1,30%,100%").wave(2)
	for _, p := range f.projects {
		if p.Name == second[0] {
			query(t, p, "create table users (by_hand text)")
		}
	}
	o := f.run(t, t.Context(), "waves=1, 30%, 100%", "wave-pause=1ms", "concurrency=1")
	o.counts(t, 2, 0, 1, 7)
	o.says(t, "wave 2 of 3 ended, and no other is started (1 succeeded, 1 failed in ",
		"7 tenants skipped: not started: wave 3 of 3 waits for wave 2, where 1 of 2 failed")
	if o.outputs["wave-reached"] != "2" || o.err == nil {
		t.Errorf("reached %q, %v", o.outputs["wave-reached"], o.err)
	}
	for _, e := range o.report.Tenants {
		if e.Wave == 3 && (e.State != "skipped" || !strings.Contains(e.Error.Message, "wave 3 of 3 waits for wave 2")) {
			t.Errorf("%+v", e)
		}
	}

	t.Log("within max-failures")
	o = f.run(t, t.Context(), "waves=1, 30%, 100%", "max-failures=1")
	o.counts(t, 7, 2, 1, 0)
	if o.outputs["wave-reached"] != "3" {
		t.Errorf("reached %q", o.outputs["wave-reached"])
	}
}

// Jobs that each go further, behind reviewers, work like one job with all waves, and are undone like one.
func TestAJobForEachWave(t *testing.T) {
	servertest.Long(t)
	t.Parallel()
	f := newTen(t)
	o := f.run(t, t.Context(), withPoints("waves=1")...)
	f.keep(t, "one", o)
	o.counts(t, 1, 0, 0, 9)
	const warning = "waves (1) leaves out 9 of 10 tenants, which this run skips: end the list with 100%, or have a " +
		"later job work on the rest"
	o.says(t, "in 1 wave of 1, and 9 beyond the last; ", "::warning::"+strings.ReplaceAll(warning, "%", "%25"),
		"9 tenants skipped: not started: beyond the last wave of waves (1)")
	if o.err != nil || o.outputs["wave-reached"] != "1" || o.report.Waves.Beyond != 9 || len(o.wave(0)) != 9 ||
		!slices.Contains(o.report.Warnings, warning) || !strings.Contains(o.summary, "not in this run") {
		t.Errorf("%v, %v, %+v", o.err, o.outputs, o.report.Waves)
	}
	o = f.run(t, t.Context(), withPoints("waves=40%")...)
	o.counts(t, 3, 1, 0, 6)
	f.keep(t, "some", o)
	o = f.run(t, t.Context(), withPoints("waves=100%")...)
	o.counts(t, 6, 4, 0, 0)
	f.keep(t, "all", o)
	f.run(t, t.Context(), undo()...).counts(t, 10, 0, 0, 0)
	for _, p := range f.projects {
		if query(t, p, "select to_regclass('schema_migrations') is null") != "t" {
			t.Errorf("%s was not taken back", p.Name)
		}
	}
}

func TestCanariesAreTheFirstWave(t *testing.T) {
	f := newTen(t)
	o := f.run(t, t.Context(), "canary=t05", "waves=30%, 100%", "dry-run=true", "wave-pause=10h")
	o.counts(t, 10, 0, 0, 0)
	o.says(t, "1 of them first as canaries, in 3 waves of 1, 2, 7", "wave-pause: a dry run changes nothing",
		"wave 1 of 3, the canaries, done (1 succeeded in ")
	if got := o.sizes(t); got != "1 2 7" || !slices.Equal(o.wave(1), []string{"t05"}) || !o.report.Waves.Each[0].Canary {
		t.Errorf("waves of %s, the first is %v", got, o.wave(1))
	}
	o = f.run(t, t.Context(), "canary=2", "dry-run=true")
	if got := o.sizes(t); got != "2 8" || o.outputs["wave-reached"] != "2" {
		t.Errorf("waves of %s, reached %s", got, o.outputs["wave-reached"])
	}
}

// whenSays calls act once the log has a text.
type whenSays struct {
	text string
	act  func()
}

func (w whenSays) Write(p []byte) (int, error) {
	if strings.Contains(string(p), w.text) {
		w.act()
	}
	return len(p), nil
}

func TestCancelDuringAPause(t *testing.T) {
	f := newTen(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	f.watch = whenSays{"pausing 10h until ", func() { cancel(errors.New("cancelled by interrupt")) }}
	o := f.run(t, ctx, "waves=20%, 50%, 80%", "wave-pause=10h")
	o.counts(t, 2, 0, 0, 8)
	o.says(t, "3 tenants skipped: not started: wave 2 of 3: cancelled by interrupt",
		"3 tenants skipped: not started: wave 3 of 3: cancelled by interrupt",
		"2 tenants skipped: not started: beyond the last wave of waves (80%)")
	if o.outputs["wave-reached"] != "1" || o.err == nil {
		t.Errorf("reached %q, %v", o.outputs["wave-reached"], o.err)
	}
}

func TestWavesThatMakeNoSense(t *testing.T) {
	f := newFleet(t, named("Acme")...)
	for inputs, want := range map[string]string{
		"waves=50%, 10%":               `input waves: "10%" comes after "50%" and is not larger`,
		"waves=0":                      `input waves: "0" is neither a count of 1 or more nor a percentage`,
		"waves=,":                      `input waves: "," names no wave; write for example 1, 10%, 50%, 100%`,
		"wave-pause=soon waves=1":      `input wave-pause: "soon" is not a positive duration`,
		"wave-pause=10m":               "input wave-pause: is how long to wait between waves, and there is only one; give ",
		"mode=create-tenant waves=50%": "waves: has no meaning in mode create-tenant",
		"mode=undo wave-pause=1m":      "wave-pause: has no meaning in mode undo",
	} {
		f.ResetCalls()
		o := f.run(t, t.Context(), strings.Fields(strings.ReplaceAll(inputs, ", ", ","))...)
		if o.says(t, strings.ReplaceAll(want, "%", "%25")); o.err == nil || f.Calls().Total > 0 {
			t.Errorf("%s: %v after %d calls", inputs, o.err, f.Calls().Total)
		}
	}
	for _, pause := range []string{"0", "0s", "0m"} {
		f.run(t, t.Context(), "dry-run=true", "wave-pause="+pause).counts(t, 1, 0, 0, 0)
	}
}

// Every mode that works on a fleet takes waves.
func TestOtherModesInWaves(t *testing.T) {
	servertest.Long(t)
	t.Parallel()
	f := newTen(t)
	f.run(t, t.Context()).counts(t, 10, 0, 0, 0)
	for _, mode := range []string{"health-check", "list-tenants", "create-branches", "delete-branches"} {
		o := f.run(t, t.Context(), "mode="+mode, "waves=1, 50%", "branch-name=preview/7")
		if got := o.sizes(t); got != "1 4" || o.outputs["wave-reached"] != "2" || o.outputs["skipped"] != "5" ||
			o.err != nil {
			t.Errorf("%s: waves of %s, %v\n%s", mode, got, o.outputs, o.log)
		}
	}
}

func TestShardsInWavesHaveOneReport(t *testing.T) {
	t.Parallel()
	f := newTen(t)
	whole := f.run(t, t.Context(), "dry-run=true", "waves=1, 2, 3, 4, 5, 6, 7, 8, 9, 10")
	var inShards []string
	for _, shard := range []string{"1/2", "2/2"} {
		file := filepath.Join(f.workspace, "reports", strings.ReplaceAll(shard, "/", "-of-")+".json")
		f.run(t, t.Context(), "shard="+shard, "waves=1, 100%", "report-file="+file)
		o := f.run(t, t.Context(), "shard="+shard, "waves=1, 100%", "dry-run=true")
		early, late := o.wave(1)[0], o.wave(2)
		for _, name := range late { // of the shard, the first in the fleet's waves is the first in the shard's
			if waveIn(whole.report, name) < waveIn(whole.report, early) {
				t.Errorf("shard %s begins with %s, and %s is earlier in the fleet", shard, early, name)
			}
		}
		inShards = append(append(inShards, early), late...)
	}
	slices.Sort(inShards)
	if len(slices.Compact(inShards)) != 10 {
		t.Errorf("the shards' waves have %v", inShards)
	}
	o := f.merge(t)
	o.counts(t, 10, 0, 0, 0)
	if got := o.sizes(t); got != "2 8" || o.outputs["wave-reached"] != "2" {
		t.Errorf("waves of %s, %v", got, o.outputs)
	}
}

func waveIn(f report.File, name string) int {
	i := slices.IndexFunc(f.Tenants, func(e report.TenantEntry) bool { return e.Name == name })
	return f.Tenants[i].Wave
}
