package fleet

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func wavesOf(t *testing.T, text string) WaveSizes {
	t.Helper()
	w, err := ParseWaves(text)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func TestParseWaves(t *testing.T) {
	for text, want := range map[string]string{
		"1, 10%, 50%, 100%": "1, 10%, 50%, 100%",
		"1\n10%\r\n\n100%":  "1, 10%, 100%",
		" 0.5 %,5":          "0.5%, 5",
		"50, 10%":           "50, 10%", // which is larger depends on the fleet
		"10%, 5, 20%, 6":    "10%, 5, 20%, 6",
		"100%":              "100%",
		"7":                 "7",
		"1,":                "1",
	} {
		w, err := ParseWaves(text)
		if err != nil || w.String() != want {
			t.Errorf("%q: read as %q, %v", text, w, err)
		}
		if asked := text != "100%"; w.Asked() != asked {
			t.Errorf("%q: asked %v", text, w.Asked())
		}
	}
	const example = "; write for example 1, 10%, 50%, 100%"
	const junk = " is neither a count of 1 or more nor a percentage above 0% and up to 100%" + example
	const order = " and is not larger; each size includes the waves before it, so write for example 1, 10%, 50%, 100%"
	for text, want := range map[string]string{
		"":                `"" names no wave` + example,
		" , \n":           `" , \n" names no wave` + example,
		"ten":             `"ten"` + junk,
		"1, 10 %%":        `"10 %%"` + junk,
		"0":               `"0"` + junk,
		"0%":              `"0%"` + junk,
		"1, -5":           `"-5"` + junk,
		"101%":            `"101%"` + junk,
		"NaN%":            `"NaN%"` + junk,
		"1.5":             `"1.5"` + junk,
		"1 10%":           `"1 10%"` + junk,
		"10%, 1, 10%":     `"10%" comes after "10%"` + order,
		"50%, 1, 10%":     `"10%" comes after "50%"` + order,
		"5, 10%, 3, 100%": `"3" comes after "5"` + order,
		"1, 1":            `"1" comes after "1"` + order,
		"1, 100%, 500":    `"500" comes after 100%, which is every tenant; end the list there, or put it before`,
		"100%, 100%":      `"100%" comes after 100%, which is every tenant; end the list there, or put it before`,
	} {
		if w, err := ParseWaves(text); err == nil || err.Error() != want {
			t.Errorf("%q: read as %q, %v; want %s", text, w, err, want)
		}
	}
	if (WaveSizes{}).Asked() {
		t.Error("the zero value asks for waves")
	}
}

func TestWaveSizes(t *testing.T) {
	for _, test := range []struct {
		waves    string
		tenants  int
		canaries int
		want     string // the waves' sizes; c marks canaries
		beyond   int
	}{
		{waves: "1, 10%, 50%, 100%", tenants: 100, want: "1 9 40 50"},
		{waves: "1, 10%, 50%, 100%", tenants: 1000, want: "1 99 400 500"},
		{waves: "1, 10%, 50%, 100%", tenants: 7, want: "1 0 3 3"},
		{waves: "1, 10%, 50%, 100%", tenants: 1, want: "1 0 0 0"},
		{waves: "1, 10%, 50%, 100%", tenants: 0, want: "0 0 0 0"},
		{waves: "10%", tenants: 1, want: "1"},
		{waves: "7%", tenants: 100, want: "7", beyond: 93},
		{waves: "33.3%", tenants: 1000, want: "333", beyond: 667},
		{waves: "0.1%", tenants: 10, want: "1", beyond: 9},
		{waves: "1, 10%", tenants: 100, want: "1 9", beyond: 90},
		{waves: "1, 5, 20", tenants: 10, want: "1 4 5"},
		{waves: "50, 10%, 100%", tenants: 100, want: "50 0 50"}, // 10% are reached already
		{waves: "100%", tenants: 5, want: ""},
		{waves: "100%", tenants: 5, canaries: 2, want: "c2 3"},
		{waves: "100%", tenants: 5, canaries: 5, want: "c5 0"},
		{waves: "1, 10%, 100%", tenants: 50, canaries: 3, want: "c3 0 2 45"},
		{waves: "10%", tenants: 50, canaries: 7, want: "c7 0", beyond: 43},
	} {
		tenants, waves := wavesOf(t, test.waves).Plan(crowd(test.tenants), test.canaries)
		var sizes []string
		total := 0
		for _, w := range waves {
			text := fmt.Sprint(w.Size)
			if w.Canary {
				text = "c" + text
			}
			sizes, total = append(sizes, text), total+w.Size
		}
		if got := strings.Join(sizes, " "); got != test.want {
			t.Errorf("%s of %d with %d canaries: %s, want %s", test.waves, test.tenants, test.canaries, got, test.want)
		}
		if beyond := len(tenants) - len(waves.Within(tenants)); beyond != test.beyond {
			t.Errorf("%s of %d: %d are beyond, want %d", test.waves, test.tenants, beyond, test.beyond)
		}
		if waves.Canaries() != test.canaries {
			t.Errorf("%s of %d: %d canaries, want %d", test.waves, test.tenants, waves.Canaries(), test.canaries)
		}
		if diff := cmp.Diff(crowd(test.tenants)[:test.canaries], tenants[:test.canaries]); diff != "" {
			t.Errorf("canaries (-want +got):\n%s", diff)
		}
	}
}

// waveOf is the number of each tenant's wave, by id.
func waveOf(tenants []Tenant, waves Waves) map[string]int {
	numbers := map[string]int{}
	for i, t := range tenants {
		numbers[t.ID] = waves.Number(i)
	}
	return numbers
}

func TestWavesKeepTheOrderWithin(t *testing.T) {
	before := crowd(100)
	tenants, waves := wavesOf(t, "1, 10%, 50%").Plan(before, 0)
	if diff := cmp.Diff(crowd(100), before); diff != "" {
		t.Errorf("Plan changed what it was given:\n%s", diff)
	}
	low := 0
	for _, size := range []int{waves[0].Size, waves[1].Size, waves[2].Size, 50} {
		wave := tenants[low : low+size]
		if !slices.IsSortedFunc(wave, func(a, b Tenant) int {
			return slices.Index(before, a) - slices.Index(before, b)
		}) {
			t.Errorf("the tenants %v are not in their order", wave)
		}
		low += size
	}
}

// TestWavesAreStable pins the hash to that of released versions: the job of a later wave counts on the earlier ones.
func TestWavesAreStable(t *testing.T) {
	tenants, _ := wavesOf(t, "1, 2, 3, 4, 5, 6").Plan(crowd(6), 0)
	var ids []string
	for _, tenant := range tenants {
		ids = append(ids, tenant.ID)
	}
	if got := strings.Join(ids, " "); got != "id-3 id-4 id-1 id-2 id-5 id-0" {
		t.Errorf("the order is %s", got)
	}
}

// A tenant that comes or goes moves at most one other across each bound, and the first wave of one run is the first of
// a run with other sizes.
func TestWavesStayWhenTenantsComeAndGo(t *testing.T) {
	sizes := wavesOf(t, "1, 10%, 50%, 100%")
	all := crowd(301)
	now := waveOf(sizes.Plan(all, 0))
	for gone := range all {
		then := waveOf(sizes.Plan(slices.Delete(slices.Clone(all), gone, gone+1), 0))
		moved := 0
		for id, wave := range then {
			if now[id] != wave {
				moved++
			}
		}
		if moved > 3 {
			t.Errorf("without %s, %d tenants are in other waves", all[gone].ID, moved)
		}
	}
	tenth := waveOf(wavesOf(t, "10%").Plan(all, 0))
	for id, wave := range now {
		if (wave == 1 || wave == 2) != (tenth[id] == 1) {
			t.Errorf("%s is in wave %d, and in wave %d of 10%% alone", id, wave, tenth[id])
		}
	}
}

// A shard's waves take its tenants in the order in which the unsharded run takes them, and no shard is early as a
// whole.
func TestShardsAgreeOnWaves(t *testing.T) {
	const n, count = 2000, 4
	each := make([]string, n)
	for i := range each {
		each[i] = fmt.Sprint(i + 1)
	}
	one := wavesOf(t, strings.Join(each, ","))
	whole := waveOf(one.Plan(crowd(n), 0))
	for index := 1; index <= count; index++ {
		share := Shard{index, count}.Select(crowd(n))
		tenants, _ := one.Plan(share, 0)
		if !slices.IsSortedFunc(tenants, func(a, b Tenant) int { return whole[a.ID] - whole[b.ID] }) {
			t.Errorf("shard %d takes its tenants in an order of its own", index)
		}
		early := 0
		for _, tenant := range share {
			if whole[tenant.ID] <= n/10 {
				early++
			}
		}
		if early < n/10/count/2 || early > n/10/count*2 {
			t.Errorf("shard %d has %d of the first %d tenants", index, early, n/10)
		}
	}
}

func TestWavesSpreadSequentialIDs(t *testing.T) {
	tenants, waves := wavesOf(t, "10%").Plan(crowd(1000), 0)
	halves := 0
	for _, tenant := range waves.Within(tenants) {
		if slices.Contains(crowd(500), tenant) {
			halves++
		}
	}
	if halves < 30 || halves > 70 {
		t.Errorf("%d of the first 100 are in the first half of the fleet", halves)
	}
}
