package report

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/org/neon-tenants-action/internal/fleet"
)

// amended returns the results of five before and after some of them are amended: one in words, one that failed already,
// and two that fail only now.
func amended(t *testing.T) (before, after []fleet.Result) {
	t.Helper()
	before = five().Results
	drift := fleet.WithRemedy(errors.New("the schema differs from that of 3 others:\n::error::+ column x"),
		"migrate it")
	after, err := fleet.Amend(before, []fleet.Amendment{
		{ID: tenantNo(0).ID, Note: "3 applied, drift", Warnings: []string{"drift"}},
		{ID: tenantNo(1).ID, Err: errors.New("its bundle was not written")},
		{ID: tenantNo(2).ID, Err: drift},
		{ID: tenantNo(3).ID, Err: drift, Note: "drift"},
	})
	if err != nil {
		t.Fatal(err)
	}
	return before, after
}

func TestAmended(t *testing.T) {
	before, after := amended(t)
	for _, actions := range []bool{true, false} {
		var b bytes.Buffer
		Amended(NewConsole(&b, actions), before, after)
		want := `amended: globex  also failed: its bundle was not written
amended: initech  failed: the schema differs from that of 3 others:
amended: umbrella  failed: the schema differs from that of 3 others:
`
		if diff := cmp.Diff(want, b.String()); diff != "" {
			t.Errorf("actions %v (-want +got):\n%s", actions, diff)
		}
	}
}

func TestAmendedRepeatsNothing(t *testing.T) {
	var b bytes.Buffer
	Amended(NewConsole(&b, true), five().Results, five().Results)
	Amended(NewConsole(&b, true), nil, nil)
	if b.Len() > 0 {
		t.Errorf("printed %q", b.String())
	}
}

// An amendment comes after the progress, and the end of the log, the summary and the outputs know it.
func TestAmendedRun(t *testing.T) {
	before, after := amended(t)
	var b bytes.Buffer
	c := NewConsole(&b, true)
	p := NewProgress(c, len(before))
	for _, r := range before {
		p.Started(r.Tenant)
		p.Finished(r)
	}
	p.Stop()
	announced := b.String()
	Amended(c, before, after)
	r := five()
	r.Results, r.Elapsed = after, 3*time.Second
	Annotate(c, r)
	c.Line(Closing(r))
	if !strings.HasPrefix(b.String(), announced) {
		t.Error("what was announced has changed")
	}
	golden(t, "amended.txt", b.String())
	golden(t, "summary-amended.md", Summary(r))
	if got := Outputs(r)[5].Value; got != `["globex","initech","umbrella"]` {
		t.Errorf("failed-tenants is %s", got)
	}
}
