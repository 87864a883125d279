package mode

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/org/neon-tenants-action/internal/records"
	"github.com/org/neon-tenants-action/internal/report"
)

func TestSleepInWords(t *testing.T) {
	dollars, err := parsePrice("$0.106")
	if err != nil {
		t.Fatal(err)
	}
	euros, err := parsePrice("0.2 EUR")
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		sleep Sleep
		price price
		want  []string
	}{
		"nobody is asleep": {
			Sleep{Reasons: map[records.Reason]int{records.NoRecord: 1}}, price{},
			[]string{"left asleep: 0 tenants, current by their record and not used since",
				"connected to: 1 tenant, 1 without a record"},
		},
		"all are": {
			Sleep{LeftAsleep: 10_000, HoursSaved: 10_000 * 0.25 / 12}, dollars,
			[]string{"left asleep: 10000 tenants, current by their record and not used since; " +
				"waking them would have cost at least 208.3 compute hours ($22.08)"},
		},
		"some are": {
			Sleep{LeftAsleep: 1, HoursSaved: 0.25 / 12, Woken: 3, HoursWoken: 3 * 0.25 / 12, Reasons: map[records.Reason]int{
				records.NoRecord: 1, records.InUse: 2, records.Changed: 1}}, euros,
			[]string{"left asleep: 1 tenant, current by their record and not used since; " +
				"waking them would have cost at least 0.021 compute hours (0.00 EUR)",
				"connected to: 4 tenants, 2 used since their record, 1 changed in Neon since their record, 1 without a record",
				"woken for that: 3 computes, for at least 0.062 compute hours (0.01 EUR)"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, c.sleep.lines(c.price)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestPriceForms(t *testing.T) {
	for text, want := range map[string]string{
		"0.1": "2.0 compute hours (0.20)", "$0.1": "2.0 compute hours ($0.20)", "0.1 EUR": "2.0 compute hours (0.20 EUR)",
		"USD 0.1": "2.0 compute hours (USD 0.20)", "€3": "2.0 compute hours (€6.00)",
	} {
		p, err := parsePrice(text)
		if err != nil || p.cost(2) != want {
			t.Errorf("%q: %q, %v", text, p.cost(2), err)
		}
	}
	for _, text := range []string{"", "cheap", "-1", "1,5", "$1 EUR", "1.", "1e3", "0.1 dollars", "NaN", "1 2"} {
		if p, err := parsePrice(text); err == nil {
			t.Errorf("%q is %+v", text, p)
		}
	}
}

// A merged report says what became of all shards' computes, and not of those of a shard that was run again.
func TestMergeSleep(t *testing.T) {
	at := time.Date(2026, 3, 14, 9, 0, 0, 0, time.UTC)
	shard := func(name string, later time.Duration, left int) report.MergedRun {
		detail, err := json.Marshal(map[string]any{"sleep": Sleep{LeftAsleep: left, HoursSaved: float64(left),
			Price: "$2", Reasons: map[records.Reason]int{records.InUse: 1}}})
		if err != nil {
			t.Fatal(err)
		}
		return report.MergedRun{Shard: name, StartedAt: at.Add(later), Detail: detail}
	}
	r := report.Run{
		Merged: []report.MergedRun{shard("1/2", 0, 10), shard("2/2", 0, 20), shard("2/2", time.Hour, 30), {Shard: "3/3"}},
		Sections: []report.Section{{Title: "Before"}, {Title: sleepTitle + " (shard 1/2)"},
			{Title: sleepTitle + " (shard 2/2)"}, {Title: "Merged reports"}},
	}
	want := []report.Section{{Title: "Before"}, {Title: sleepTitle, Lines: []string{
		"left asleep: 40 tenants, current by their record and not used since; waking them would have cost at least 40.0 " +
			"compute hours ($80.00)",
		"connected to: 2 tenants, 2 used since their record",
	}}, {Title: "Merged reports"}}
	if diff := cmp.Diff(want, MergeSleep(r).Sections); diff != "" {
		t.Error(diff)
	}
	r.Sections = r.Sections[:1]
	if diff := cmp.Diff(r.Sections, MergeSleep(r).Sections); diff != "" {
		t.Error(diff)
	}
}
