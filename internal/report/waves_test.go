package report

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/org/neon-tenants-action/internal/fleet"
)

func TestWaveLine(t *testing.T) {
	done := []fleet.Result{succeeded(tenantNo(0), "", 0), succeeded(tenantNo(1), "", 0), unchanged(tenantNo(2), 0)}
	bad := append(slices.Clone(done), failed(tenantNo(3), errors.New("broken"), 0))
	wave := fleet.WaveResult{Elapsed: 3 * time.Minute}
	for want, end := range map[string]fleet.WaveEnd{
		"wave 2 of 4 done (2 succeeded, 1 unchanged in 3m): pausing 10m until 09:36:53 UTC": {
			WaveResult: wave, Number: 2, Of: 4, Results: done, Pause: 10 * time.Minute},
		"wave 2 of 4 done (2 succeeded, 1 unchanged in 3m): pausing 15h until 2026-03-15 00:26:53 UTC": {
			WaveResult: wave, Number: 2, Of: 4, Results: done, Pause: 15 * time.Hour},
		"wave 2 of 4 done (2 succeeded, 1 unchanged in 3m): no pause, because nothing was changed": {
			WaveResult: wave, Number: 2, Of: 4, Results: done, Needless: true},
		"wave 1 of 4, the canaries, done (2 succeeded, 1 unchanged in 3m)": {
			WaveResult: fleet.WaveResult{Wave: fleet.Wave{Canary: true}, Elapsed: 3 * time.Minute},
			Number:     1, Of: 4, Results: done},
		"wave 2 of 4 ended, and no other is started (2 succeeded, 1 unchanged, 1 failed in 3m)": {
			WaveResult: wave, Number: 2, Of: 4, Results: bad, Stopped: true},
		"wave 4 of 4 done (2 succeeded, 1 unchanged, 1 failed in 3m)": {
			WaveResult: wave, Number: 4, Of: 4, Results: bad, Stopped: true},
		"wave 2 of 4 has no tenants of its own": {Number: 2, Of: 4},
	} {
		if got := waveLine(end, began); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	var log bytes.Buffer
	p := NewProgress(NewConsole(&log, true), 3)
	p.WaveEnded(fleet.WaveEnd{WaveResult: wave, Number: 2, Of: 2, Results: done})
	if want := "wave 2 of 2 done (2 succeeded, 1 unchanged in 3m)\n"; log.String() != want {
		t.Errorf("the log has %q", log.String())
	}
}

func TestWaveReached(t *testing.T) {
	reached := func(r Run) string {
		i := slices.IndexFunc(Outputs(r), func(o Output) bool { return o.Name == "wave-reached" })
		if i < 0 {
			return "not set"
		}
		return Outputs(r)[i].Value
	}
	begun, not := fleet.WaveResult{Started: began}, fleet.WaveResult{}
	for want, run := range map[string]Run{
		"not set": five(),
		"3":       waves(),
		"0":       {Waves: WavesOf([]fleet.WaveResult{not, not})},
		"1":       {Waves: WavesOf([]fleet.WaveResult{begun, not})},
		"2":       {Waves: WavesOf([]fleet.WaveResult{begun, begun})},
	} {
		if got := reached(run); got != want {
			t.Errorf("wave-reached is %s, want %s", got, want)
		}
	}
}

// shardInWaves is the report file of a shard with two waves after the canaries.
func shardInWaves(t *testing.T, shard string, minutes, reached int, results ...fleet.Result) NamedFile {
	t.Helper()
	start := began.Add(time.Duration(minutes) * time.Minute)
	all := make([]fleet.WaveResult, 2)
	for i, until := range []string{"10%", "100%"} {
		if all[i].Until = until; i < reached {
			all[i].Started, all[i].Elapsed = start.Add(time.Duration(i)*time.Minute), time.Duration(minutes+1)*time.Second
		}
	}
	for i := range results {
		results[i].Wave = min(i+1, 2)
	}
	return stored(t, Run{Mode: "migrate", Source: "neon", Shard: shard, Started: start, Elapsed: time.Minute,
		Results: results, Waves: WavesOf(all)})
}

func TestMergeJoinsWaves(t *testing.T) {
	const second = time.Second
	files := []NamedFile{
		shardInWaves(t, "1/3", 0, 2, succeeded(tenantNo(0), "", second), succeeded(tenantNo(1), "", second),
			unchanged(tenantNo(2), second)),
		shardInWaves(t, "2/3", 4, 1, failed(tenantNo(3), errors.New("broken"), second), skipped(tenantNo(4), "waits")),
		shardInWaves(t, "3/3", 2, 2), // without tenants
	}
	r, err := Merge(files)
	if err != nil {
		t.Fatal(err)
	}
	want := &FileWaves{Reached: 1, Each: []FileWave{
		{Number: 1, Until: "10%", Totals: Totals{2, 1, 0, 1, 0}, StartedAt: fileTime(began), ElapsedMS: 5000},
		{Number: 2, Until: "100%", Totals: Totals{3, 1, 1, 0, 1}, StartedAt: fileTime(began.Add(time.Minute)),
			ElapsedMS: 1000},
	}}
	if diff := cmp.Diff(want, fileWaves(r)); diff != "" {
		t.Errorf("waves (-want +got):\n%s", diff)
	}
	if text := Summary(r); !strings.Contains(text, "Every shard got to wave 1 of 2 at least.") {
		t.Errorf("the summary says:\n%s", text)
	}

	t.Log("a shard is run again")
	again := shardInWaves(t, "2/3", 60, 2, succeeded(tenantNo(3), "", second), succeeded(tenantNo(4), "", second))
	if r, err = Merge(append(files, again)); err != nil || r.Waves.Reached != 2 {
		t.Errorf("wave %d was reached, %v", r.Waves.Reached, err)
	}
}

// Jobs that each take the fleet a wave further have different waves: a sum of them would say nothing.
func TestMergeOfDifferentWaves(t *testing.T) {
	one, whole := shardInWaves(t, "", 0, 2, succeeded(tenantNo(0), "", time.Second)),
		shardFile(t, "", 5, succeeded(tenantNo(1), "", time.Second))
	r, err := Merge([]NamedFile{one, whole})
	if err != nil || len(r.Waves.Each) > 0 || r.Results[0].Wave != 0 ||
		!slices.Contains(r.Notices, "the runs had different waves, so the merged report shows none") {
		t.Errorf("%+v, %v, %q", r.Waves, err, r.Notices)
	}
	stored(t, r) // which reads it back
}

func TestWavesThatNoRunWrites(t *testing.T) {
	for want, spoil := range map[string]func(*File){
		`tenant "acme-corp" is in wave 5, and there are 4`: func(f *File) { f.Tenants[0].Wave = 5 },
		`is in wave 4, and there are 0`:                    func(f *File) { f.Waves = nil },
		`it has 4 waves and says that wave 5 was reached`:  func(f *File) { f.Waves.Reached = 5 },
		`tenant "acme-corp" is in wave -1`:                 func(f *File) { f.Tenants[0].Wave = -1 },
	} {
		f := stored(t, waves()).File
		spoil(&f)
		text, err := json.Marshal(f)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Decode(text); err == nil || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}
