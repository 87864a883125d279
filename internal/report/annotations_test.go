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
