package secrets

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/org/neon-tenants-action/internal/github"
)

func aState(k *Keyring, tenants, bundles int) State {
	s := State{Run: [8]byte{1, 2, 3}, Secrets: map[Print]Record{}, Members: map[Print]Member{}}
	for i := range bundles {
		s.Secrets[k.Name(BundleName(i+1))] = Record{k.Value(BundleName(i+1), "x"), 1_800_000_000}
	}
	for i := range tenants {
		key := fmt.Sprintf("a-tenant-with-a-name-as-long-as-people-like-them-%d", i)
		s.Members[k.Name(key)] = Member{k.Value(key, "y"), i%bundles + 1}
	}
	return s
}

func TestAStateIsReadBack(t *testing.T) {
	k := NewKeyring("napi_key", "repository acme/app")
	for _, s := range []State{{Secrets: map[Print]Record{}}, aState(k, 3, 2), aState(k, 1000, 5), aState(k, 2000, 10)} {
		text, err := k.Encode(s)
		if err != nil || len(text) > github.MaxValue {
			t.Fatalf("%d bytes, %v", len(text), err)
		}
		got, err := k.Decode(text + "\n")
		if diff := cmp.Diff(s, got); err != nil || diff != "" {
			t.Errorf("%v (-want +got):\n%s", err, diff)
		}
	}
}

func TestATooLargeStateLeavesItsMembersOut(t *testing.T) {
	k := NewKeyring("napi_key", "repository acme/app")
	text, err := k.Encode(aState(k, 5000, 25))
	if err != nil {
		t.Fatal(err)
	}
	s, err := k.Decode(text)
	if err != nil || s.Members != nil || len(s.Secrets) != 25 {
		t.Errorf("%d secrets, %d members, %v", len(s.Secrets), len(s.Members), err)
	}
	if text, err := k.Encode(aState(k, 1, 1000)); err != nil || len(text) > github.MaxValue {
		t.Errorf("an organization's 1,000 secrets take %d bytes, %v", len(text), err)
	}
	if _, err := k.Encode(aState(k, 1, 3000)); err == nil {
		t.Error("3,000 secrets fit, which is impossible")
	}
}

func TestAStateThatCannotBeTrusted(t *testing.T) {
	k := NewKeyring("napi_key", "repository acme/app")
	text, err := k.Encode(aState(k, 3, 2))
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		text string
		want error
	}{
		"another key":        {mustEncode(t, NewKeyring("napi_other", "repository acme/app")), ErrOtherKey},
		"another repository": {mustEncode(t, NewKeyring("napi_key", "repository acme/fork")), ErrOtherKey},
		"empty":              {"", ErrForeign},
		"somebody's own":     {`{"version": 3}`, ErrForeign},
		"cut":                {text[:len(text)-9], ErrForeign},
		"cut short":          {text[:len(stateMark)+4], ErrOtherKey},
		"a later version":    {strings.Replace(text, ":v1:", ":v2:", 1), ErrForeign},
		"without the end":    {text[:strings.LastIndex(text, ":")], ErrForeign},
	} {
		if _, err := k.Decode(test.text); !errors.Is(err, test.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for i := range text {
		changed := text[:i] + string(rune(text[i]^1)) + text[i+1:]
		if _, err := k.Decode(changed); err == nil {
			t.Fatalf("a change at %d goes unnoticed", i)
		}
	}
	if strings.Contains(text, "napi") || strings.Contains(text, "acme") || strings.Contains(text, "BUNDLE") {
		t.Errorf("the state reveals something: %s", text)
	}
}

func mustEncode(t *testing.T, k *Keyring) string {
	t.Helper()
	text, err := k.Encode(aState(k, 1, 1))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestCurrent(t *testing.T) {
	k := NewKeyring("napi_key", "repository acme/app")
	written := time.Unix(1_800_000_000, 0)
	s := State{Secrets: map[Print]Record{
		k.Name("A"): {k.Value("A", "v"), written.Unix()},
		k.Name("B"): {k.Value("B", "v"), 0},
	}}
	for _, test := range []struct {
		name, value string
		listed      time.Time
		want        bool
	}{
		{"A", "v", written, true},
		{"A", "v", written.Add(time.Second), false},  // changed by hand later
		{"A", "v", written.Add(-time.Second), false}, // not what was written
		{"A", "w", written, false},
		{"B", "v", written, false},
		{"B", "v", time.Unix(0, 0), false},
		{"C", "v", written, false},
	} {
		if got := s.Current(k, test.name, test.value, test.listed); got != test.want {
			t.Errorf("%+v: %t", test, got)
		}
	}
	if k.Value("A", "v") == k.Value("B", "v") || k.Value("A", "v") == k.Value("Av", "") ||
		k.Name("A") == k.Value("A", "") {
		t.Error("two texts have one fingerprint")
	}
	c := s.Clone()
	c.Secrets[k.Name("C")] = Record{}
	if len(s.Secrets) != 2 || c.Members != nil {
		t.Error("a clone shares its maps")
	}
}

// FuzzDecode checks that no text panics, and that what can be decoded is the same after another round.
func FuzzDecode(f *testing.F) {
	k := NewKeyring("napi_key", "repository acme/app")
	f.Add(encodeState(aState(k, 3, 2)))
	f.Add([]byte{})
	f.Add([]byte{0, 0, 0, 0, 0, 0, 0, 0, 1, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1})
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := decodeState(data)
		if err == nil {
			again, err := decodeState(encodeState(s))
			if diff := cmp.Diff(s, again); err != nil || diff != "" {
				t.Errorf("%v (-first +second):\n%s", err, diff)
			}
		}
		_, _ = k.Decode(string(data))
		_, _ = k.Decode(stateMark + ":" + k.id() + ":" + base64.RawURLEncoding.EncodeToString(data))
	})
}
