package report

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"github.com/org/neon-tenants-action/internal/fleet"
)

// large is a run over many tenants that were left alone, each for a reason that the report file holds.
func large(tenants int) Run {
	type detail struct {
		LeftAsleep string `json:"left_asleep"`
		Version    string `json:"version_before"`
	}
	r := Run{ID: "7", Mode: "migrate", Source: "neon", Started: began, Elapsed: 9 * time.Second, ReportFile: "report.json",
		Results: make([]fleet.Result, tenants)}
	for i := range r.Results {
		r.Results[i] = fleet.Result{
			Tenant: fleet.Tenant{Name: fmt.Sprintf("Customer %06d Ltd", i), ID: fmt.Sprintf("quiet-frog-%08d", i),
				Key: fmt.Sprintf("customer-%06d-ltd", i)},
			State: fleet.Unchanged, Started: began, Elapsed: time.Millisecond,
			Outcome: fleet.Outcome{Unchanged: true, Note: "left asleep: nothing is pending",
				Detail: &detail{"recorded", "20250101090200"}},
		}
	}
	return r
}

// growth is how many bytes the live heap gains while do runs, at the moments when do calls look.
func growth(t *testing.T, do func(look func()) error) uint64 {
	t.Helper()
	live := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	defer debug.SetGCPercent(debug.SetGCPercent(100))
	before, most := live(), uint64(0)
	if err := do(func() { most = max(most, live()) }); err != nil {
		t.Fatal(err)
	}
	if most = max(most, live()); most < before {
		return 0
	}
	return most - before
}

// looking is a writer or reader that looks at the memory now and then.
type looking struct {
	io.Reader
	io.Writer
	look  func()
	calls int
	every int
}

func (l *looking) count() {
	if l.calls++; l.calls%l.every == 0 {
		l.look()
	}
}

func (l *looking) Write(p []byte) (int, error) { l.count(); return l.Writer.Write(p) }
func (l *looking) Read(p []byte) (int, error)  { l.count(); return l.Reader.Read(p) }

// The report of 100,000 tenants, a file of some 40 MB, is written, summarized and read without ever being in memory. It
// is the live heap that is bounded, which neither the race detector nor a busy machine changes.
func TestAReportOf100000TenantsIsNeverInMemory(t *testing.T) {
	const tenants, few = 100_000, 4 << 20
	run := large(tenants)
	path := filepath.Join(t.TempDir(), "report.json")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	if got := growth(t, func(look func()) error {
		return WriteJSON(&looking{Writer: file, look: look, every: 100}, run)
	}); got > few {
		t.Errorf("writing holds %d bytes", got)
	}
	if got := growth(t, func(func()) error {
		if n := len(Summary(run)); n > maxSummary {
			return fmt.Errorf("a summary of %d bytes", n)
		}
		Annotate(NewConsole(io.Discard, true), run)
		Closing(run)
		Outputs(run)
		return nil
	}); got > few {
		t.Errorf("the summary leaves %d bytes", got)
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	read := 0
	if got := growth(t, func(look func()) error {
		in := &looking{Reader: bufio.NewReaderSize(file, 1<<20), look: look, every: 5000}
		f, err := Read(in, func(TenantEntry) error { read++; return nil })
		if err == nil && f.Totals.Total != tenants {
			err = fmt.Errorf("totals %s", f.Totals)
		}
		return err
	}); got > few || read != tenants {
		t.Errorf("reading %d tenants holds %d bytes", read, got)
	}
	runtime.KeepAlive(run)
}

// What a tenant costs does not grow with their number.
func TestATenantCostsTheSameInEveryFleet(t *testing.T) {
	for name, do := range map[string]func(Run){
		"write":   func(r Run) { _ = WriteJSON(io.Discard, r) },
		"summary": func(r Run) { Summary(r) },
		"log":     func(r Run) { Annotate(NewConsole(io.Discard, true), r); Closing(r); Outputs(r) },
	} {
		cost := func(tenants int) float64 {
			r := large(tenants)
			return testing.AllocsPerRun(1, func() { do(r) }) / float64(tenants)
		}
		if small, big := cost(1000), cost(20_000); big > 1.1*small+1 {
			t.Errorf("%s: %.1f allocations a tenant among 1,000, %.1f among 20,000", name, small, big)
		}
	}
}

// A reader takes the fields in any order, and says what is wrong with a file as a whole before what is with a tenant.
func TestReadTakesFieldsInAnyOrder(t *testing.T) {
	const (
		tenants = `"tenants":[{"name":"acme","state":"succeeded"},{"name":"globex","state":"unchanged"}]`
		totals  = `"totals":{"total":2,"succeeded":1,"unchanged":1}`
		rest    = `"mode":"migrate","source":"neon","started_at":"2026-03-14T09:26:53.589Z"`
	)
	for _, text := range []string{
		`{` + tenants + `,"version":1,` + totals + `,` + rest + `}`,
		` { "version":1,` + rest + `,` + tenants + `,"later":{"tenants":[{}]},` + totals + "}\n",
	} {
		f, err := Decode([]byte(text))
		if err != nil || len(f.Tenants) != 2 || f.Tenants[1].Name != "globex" || f.Mode != "migrate" {
			t.Errorf("%s: %+v, %v", text, f, err)
		}
	}
	for text, want := range map[string]string{
		`{"tenants":[{"state":"in a later release","name":7}],"version":2}`:         "this release reads up to 1",
		`{"tenants":[{"state":"odd"}]}`:                                             "it has no version",
		`{"version":1,` + rest + `,"tenants":[{"name":7}]}`:                         "cannot unmarshal number",
		`{"version":1,` + rest + `,"tenants":{}}`:                                   "cannot unmarshal",
		`{"version":1,` + rest + `,"tenants":[{"name":"acme"`:                       "unexpected end of JSON input",
		`{"version":2,"tenants":[{"name":"acme"`:                                    "it has version 2",
		`{"version":1,` + rest + `,` + totals + `,` + tenants + `} {}`:              "text follows its end",
		`{"version":1,` + rest + `,` + totals + `,` + tenants + `,` + tenants + `}`: "two lists of tenants",
		`{"version":"1"}`: "cannot unmarshal string",
		`{"version":1,,}`: "invalid character",
	} {
		_, err := Decode([]byte(text))
		if err == nil || !strings.Contains(err.Error(), want) || fleet.Remedy(err) == "" {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}

// An error of the caller ends the reading.
func TestReadEndsWithTheCallersError(t *testing.T) {
	enough := errors.New("enough")
	text, err := JSON(five())
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	_, err = Read(bytes.NewReader(text), func(TenantEntry) error {
		if seen++; seen == 2 {
			return enough
		}
		return nil
	})
	if !errors.Is(err, enough) || err.Error() != "enough" || seen != 2 {
		t.Errorf("%d tenants, %v", seen, err)
	}
}
