package report

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/org/neon-tenants-action/internal/fleet"
)

func annotated(r Run) (errors, warnings []runnerCommand) {
	var b bytes.Buffer
	Annotate(NewConsole(&b, true), r)
	found, _ := parseLog(b.String())
	for _, c := range found {
		switch c.name {
		case "error":
			errors = append(errors, c)
		case "warning":
			warnings = append(warnings, c)
		}
	}
	return errors, warnings
}

func TestAnnotate(t *testing.T) {
	var b strings.Builder
	for _, name := range []string{"five", "five-thousand", "broken", "calm", "hostile"} {
		for _, actions := range []bool{true, false} {
			var log bytes.Buffer
			Annotate(NewConsole(&log, actions), fixtures()[name])
			fmt.Fprintf(&b, "--- %s, actions %v\n%s", name, actions, log.String())
		}
	}
	golden(t, "annotations.txt", b.String())
}

func TestAnnotationsAreLimited(t *testing.T) {
	for _, n := range []int{0, 1, 9, 10, 11, 500} {
		r := Run{ReportFile: "report.json"}
		for i := range n {
			res := failed(tenantNo(i), fmt.Errorf("error of kind %c%d", 'a'+i%26, i), time.Second)
			res.Outcome.Warnings = []string{fmt.Sprintf("warning of kind %c%d", 'a'+i%26, i)}
			r.Results = append(r.Results, res)
		}
		errs, warns := annotated(r)
		want := min(n, 10)
		if len(errs) != want || len(warns) != want {
			t.Errorf("%d ways to fail: %d errors, %d warnings", n, len(errs), len(warns))
		}
		if n > 10 {
			rest := fmt.Sprintf("there are %d more errors on %[1]d tenants: see the job's summary and report.json", n-9)
			if got := errs[9].data; got != rest {
				t.Errorf("the tenth says %q, want %q", got, rest)
			}
		}
	}
}

// Warnings from before the work are not repeated after it, and both together fit into what GitHub shows.
func TestAnnounce(t *testing.T) {
	for _, n := range []struct{ before, after, early, late int }{
		{0, 0, 0, 0}, {1, 1, 1, 1}, {5, 5, 5, 5}, {6, 5, 5, 5}, {2, 9, 2, 8}, {0, 11, 0, 10}, {500, 500, 5, 5},
	} {
		r := Run{ReportFile: "report.json"}
		for i := range n.before {
			r.Warnings = append(r.Warnings, fmt.Sprintf("early %d", i))
		}
		var b bytes.Buffer
		Announce(NewConsole(&b, true), &r)
		early, _ := parseLog(b.String())
		for i := range n.after {
			r.Warnings = append(r.Warnings, fmt.Sprintf("late %d", i))
		}
		_, late := annotated(r)
		if len(early) != n.early || len(late) != n.late || n.late > 0 && late[0].data != "late 0" {
			t.Errorf("%+v: %v, then %v", n, early, late)
		}
		if n.before > n.early && early[n.early-1].data !=
			fmt.Sprintf("there are %d more warnings: see the job's summary and report.json", n.before-n.early+1) {
			t.Errorf("%+v: the last is %v", n, early[n.early-1])
		}
	}
}

func TestAnnotationsAreShort(t *testing.T) {
	for _, text := range []string{strings.Repeat("x", 10000), strings.Repeat("👩", 10000),
		strings.Repeat("\x1b\n", 10000), strings.Repeat("é", 4096)} {
		for _, remedy := range []string{"", "do that", strings.Repeat("y ", 10000)} {
			r := Run{Results: []fleet.Result{failed(tenantNo(0), fleet.WithRemedy(errors.New(text), remedy), 0)}}
			errs, _ := annotated(r)
			if len(errs) != 1 {
				t.Fatalf("%d annotations", len(errs))
			}
			if n := len(utf16.Encode([]rune(errs[0].data))); n > maxMessage {
				t.Errorf("%.10q, %.10q: %d characters", text, remedy, n)
			}
			if remedy != "" && !strings.Contains(errs[0].data, "\nwhat to do: "+remedy[:2]) {
				t.Errorf("%.10q: the remedy is lost", text)
			}
		}
	}
}
