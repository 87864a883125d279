package secrets

import (
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// fleetOf makes n connection strings about as long as Neon's.
func fleetOf(n int) map[string]string {
	const url = "postgresql://neondb_owner:npg_%016d@ep-quiet-river-a1b2c%04d.us-east-1.aws.neon.tech/neondb" +
		"?sslmode=require&channel_binding=require"
	members := map[string]string{}
	for i := range n {
		members[fmt.Sprintf("customer-%04d", i)] = fmt.Sprintf(url, i, i)
	}
	return members
}

func packed(t *testing.T, members map[string]string, earlier map[string]int, locked map[int]bool) Packing {
	t.Helper()
	p, err := Pack(members, earlier, locked)
	if err != nil {
		t.Fatal(err)
	}
	for n, keys := range p.Keys() {
		part := map[string]string{}
		for _, key := range keys {
			part[key] = members[key]
		}
		if value := EncodeBundle(part); len(value) > Fill && !locked[n] {
			t.Errorf("bundle %d has %d bytes", n, len(value))
		}
	}
	if len(p.Bundle) != len(members) {
		t.Errorf("%d of %d members are packed", len(p.Bundle), len(members))
	}
	return p
}

// moved counts the bundles whose value differs between two packings.
func moved(before, after map[string]string, p, q Packing) int {
	value := func(members map[string]string, keys []string) string {
		part := map[string]string{}
		for _, key := range keys {
			part[key] = members[key]
		}
		return EncodeBundle(part)
	}
	n := 0
	for b := 1; b <= max(p.Bundles, q.Bundles); b++ {
		if value(before, p.Keys()[b]) != value(after, q.Keys()[b]) {
			n++
		}
	}
	return n
}

func TestPack(t *testing.T) {
	members := fleetOf(1000)
	first := packed(t, members, nil, nil)
	if first.Bundles > 6 {
		t.Errorf("1,000 tenants take %d bundles, which with the state's two writes are more than 8", first.Bundles)
	}
	if diff := cmp.Diff(first, packed(t, members, first.Bundle, nil)); diff != "" {
		t.Errorf("packed twice:\n%s", diff)
	}
	for what, change := range map[string]func(map[string]string){
		"a new password": func(m map[string]string) {
			m["customer-0500"] = strings.ReplaceAll(m["customer-0500"], "npg_0", "npg_1")
		},
		"a tenant more": func(m map[string]string) { m["aaa-first"] = m["customer-0001"] },
		"a tenant less": func(m map[string]string) { delete(m, "customer-0100") },
		"a longer password": func(m map[string]string) {
			m["customer-0999"] = strings.ReplaceAll(m["customer-0999"], "npg_", "npg_abc")
		},
		"a shorter password": func(m map[string]string) {
			m["customer-0001"] = strings.ReplaceAll(m["customer-0001"], "npg_", "")
		},
	} {
		after := maps.Clone(members)
		change(after)
		if n := moved(members, after, first, packed(t, after, first.Bundle, nil)); n != 1 {
			t.Errorf("%s rewrites %d bundles", what, n)
		}
	}
	half := maps.Clone(members)
	for key := range half {
		if key > "customer-0500" {
			delete(half, key)
		}
	}
	maps.DeleteFunc(half, func(key, _ string) bool { return strings.HasSuffix(key, "1") })
	if p := packed(t, half, first.Bundle, nil); p.used() > packed(t, half, nil, nil).used() ||
		p.Bundles != first.Bundles {
		t.Errorf("a smaller fleet takes %d bundles, of %d in use", p.used(), p.Bundles)
	}
}

func TestPackKeepsToLocksAndLimits(t *testing.T) {
	members := fleetOf(3)
	p := packed(t, members, map[string]int{"customer-0000": 1}, map[int]bool{1: true, 2: true})
	if diff := cmp.Diff(map[string]int{"customer-0000": 1, "customer-0001": 3, "customer-0002": 3},
		p.Bundle); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	members["customer-0001"] = "postgresql://u:" + strings.Repeat("x", Fill) + "@h/d"
	if _, err := Pack(members, nil, nil); err == nil || strings.Contains(err.Error(), "xxx") ||
		!strings.Contains(err.Error(), "customer-0001") {
		t.Errorf("too large a member: %v", err)
	}
	// A member that outgrows its bundle moves, and no other member does.
	members = fleetOf(250)
	one := packed(t, members, nil, nil)
	members["customer-0000"] += strings.Repeat("x", 30000)
	two := packed(t, members, one.Bundle, nil)
	for key, n := range one.Bundle {
		if two.Bundle[key] != n && key != "customer-0000" {
			t.Errorf("%s went from %d to %d", key, n, two.Bundle[key])
		}
	}
}

func TestBundlesAreWhatAnybodyReads(t *testing.T) {
	members := map[string]string{"b": `postgresql://u:p"\<>&` + "\u2028" + `é@h/d?a=1&b=2`, "a": "x"}
	text := EncodeBundle(members)
	if strings.ContainsAny(text, "\n\r") || !strings.Contains(text, "?a=1&b=2") ||
		!strings.HasPrefix(text, `{"a":"x","b":`) {
		t.Errorf("encoded: %s", text)
	}
	var read map[string]string
	if err := json.Unmarshal([]byte(text), &read); err != nil || !maps.Equal(read, members) {
		t.Errorf("read back: %v, %v", read, err)
	}
	if EncodeBundle(nil) != "{}" {
		t.Errorf("an empty bundle is %q", EncodeBundle(nil))
	}
}

func TestParseObject(t *testing.T) {
	for text, want := range map[string][]Entry{
		`{}`: nil,
		` {"a":"1" , "b":2,"c":null,"d":{"e":"f"},"g":["h"],"i":"j"} `: {{"a", "1"}, {"i", "j"}},
		`{"a":"1","a":"2"}`: {{"a", "1"}, {"a", "2"}},
	} {
		got, err := ParseObject(text)
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%s: %v (-want +got):\n%s", text, err, diff)
		}
	}
	for _, text := range []string{"", "secret", `"secret"`, `["secret"]`, `{"secret"`, `{"secret":`, `{"a":"secret"`,
		`{"a":"secret"} x`, `{"a":"secret"}{}`, "null", "{secret}", "{\"a\":secret}"} {
		if got, err := ParseObject(text); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v, %v", text, got, err)
		}
	}
}

func FuzzParseObject(f *testing.F) {
	f.Add(`{"a":"1","b":{}}`)
	f.Add(`{`)
	f.Fuzz(func(t *testing.T, text string) {
		entries, err := ParseObject(text)
		if err == nil && !json.Valid([]byte(text)) {
			t.Errorf("%q is taken for JSON: %v", text, entries)
		}
	})
}
