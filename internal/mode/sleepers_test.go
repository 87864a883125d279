package mode

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/org/neon-tenants-action/internal/records"
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
