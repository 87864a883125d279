package fleet

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const password = "hunter2"

// holder is the kind of struct that carries a secret; fmt reaches its unexported field by reflection.
type holder struct {
	Open   Secret
	closed Secret
	Ptr    *Secret
	Map    map[Secret]Secret
	List   []Secret
}

func TestSecretPrintsNowhere(t *testing.T) {
	s := NewSecret("postgres://u:" + password + "@host/db")
	h := holder{Open: s, closed: s, Ptr: &s, Map: map[Secret]Secret{s: s}, List: []Secret{s}}
	values := map[string]any{"secret": s, "pointer": &s, "struct": h, "pointer to struct": &h,
		"wrapped": fmt.Errorf("open %v: %w", s, fmt.Errorf("%s", s))}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%T", "%20s", "%!", "%p"} {
		for name, v := range values {
			if got := fmt.Sprintf(verb, v); strings.Contains(got, password) ||
				strings.Contains(got, fmt.Sprintf("%x", password)) {
				t.Errorf("%s of a %s: %s", verb, name, got)
			}
		}
		if got := fmt.Sprintf(verb, s); verb != "%T" && verb != "%!" && verb != "%p" && got != "***" {
			t.Errorf("%s: %q, want ***", verb, got)
		}
	}

	var logs bytes.Buffer
	for _, handler := range []slog.Handler{slog.NewTextHandler(&logs, nil), slog.NewJSONHandler(&logs, nil)} {
		log := slog.New(handler).With("with", s)
		for name, v := range values {
			log.Info(name, "value", v, slog.Group("group", "inner", v))
		}
	}
	if strings.Contains(logs.String(), password) || !strings.Contains(logs.String(), "with=***") {
		t.Errorf("slog wrote:\n%s", &logs)
	}

	data, err := json.Marshal(h)
	if err != nil {
		t.Fatal(err)
	}
	if want := `{"Open":"***","Ptr":"***","Map":{"***":"***"},"List":["***"]}`; string(data) != want {
		t.Errorf("JSON: %s, want %s", data, want)
	}
}

func TestTrustedSecrets(t *testing.T) {
	if !TrustedSecret("a").Trusted() || NewSecret("a").Trusted() ||
		TrustedSecret("a") != TrustedSecret(strings.Clone("a")) ||
		TrustedSecret("a") == NewSecret("a") || TrustedSecret("") != (Secret{}) || TrustedSecret("a").Reveal() != "a" {
		t.Error("trust is not part of a secret")
	}
	if got := fmt.Sprintf("%v %+v %#v", TrustedSecret("hush"), struct{ s Secret }{TrustedSecret("hush")},
		TrustedSecret("hush")); strings.Contains(got, "hush") {
		t.Errorf("printed %s", got)
	}
}

func TestSecretsOfOneValueAreEqual(t *testing.T) {
	if NewSecret("a") != NewSecret(strings.Clone("a")) || NewSecret("") != (Secret{}) ||
		NewSecret("a") == NewSecret("b") {
		t.Error("secrets do not compare by their values")
	}
	for _, value := range []string{"", "a"} {
		if got := NewSecret(value).Reveal(); got != value {
			t.Errorf("Reveal gave %q, want %q", got, value)
		}
	}
}

func TestForms(t *testing.T) {
	for _, test := range []struct {
		name, value string
		want        []string
	}{
		{"empty", "", nil},
		{"a key", "napi_abc", []string{"napi_abc"}},
		{"no password", "postgres://host/db", []string{"postgres://host/db"}},
		{"user alone", "postgres://u@host/db", []string{"postgres://u@host/db"}},
		{"empty password", "postgres://u:@host/db", []string{"postgres://u:@host/db"}},
		{"plain", "postgres://u:pw@host/db", []string{"postgres://u:pw@host/db", "pw"}},
		{
			"encoded", "postgres://u:p%40s%2Fs@host/db",
			[]string{"postgres://u:p%40s%2Fs@host/db", "p%40s%2Fs", "p@s%2Fs", "p@s/s"},
		},
		{
			"a space", "postgres://u:a%20b@host/db",
			[]string{"postgres://u:a%20b@host/db", "a%20b", "a b", "a+b"},
		},
		{
			"lower case hex", "postgres://u:a%2fb@host",
			[]string{"postgres://u:a%2fb@host", "a%2fb", "a%2Fb", "a/b"},
		},
		{
			"a bad escape", "postgres://u:50%zz@host",
			[]string{"postgres://u:50%zz@host", "50%zz"},
		},
		{
			"an @ and a colon that were not encoded", "postgres://u:a@b:c@host",
			[]string{"postgres://u:a@b:c@host", "a%40b%3Ac", "a@b:c"},
		},
		{
			"a slash that was not encoded", "postgres://u:a/b@host/db",
			[]string{"postgres://u:a/b@host/db", "a%2Fb", "a/b"},
		},
		{
			"quotes and backslashes", `postgres://u:a%22\b@host`,
			[]string{`postgres://u:a%22\\b@host`, `postgres://u:a%22\b@host`, `a%22%5Cb`, `a%22\\b`, `a%22\b`, `a\"\\b`,
				`a"\b`},
		},
		{
			"in the query, longest first",
			"postgres://u:long@host/db?password=longer&sslmode=require&sslpassword=x%26y",
			[]string{"postgres://u:long@host/db?password=longer&sslmode=require&sslpassword=x%26y", "longer", "x%26y",
				"long", "x&y"},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, NewSecret(test.value).Forms()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestRedactLeavesNoRemainder(t *testing.T) {
	s := NewSecret("postgres://u:long@host/db?password=longer")
	if got, want := s.Redact("tried longer, then long"), "tried ***, then ***"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// FuzzRedact puts a password into a URL in every way that people and libraries write it, and that URL into texts as
// errors and logs quote it: no form of it may remain.
func FuzzRedact(f *testing.F) {
	f.Add("p@ss/w:rd", "connect to ", "")
	f.Add(`a"b\c`, "", "\n")
	f.Add("50%", "%", "%zz")
	f.Add("a b+c", "a", "b")
	f.Add("é\x00\xff", "\xff", "")
	f.Fuzz(func(t *testing.T, password, before, after string) {
		if strings.Contains(password, "*") {
			return // the *** itself would look like a remainder
		}
		for _, written := range []string{
			"postgres://u:" + password + "@host/db",
			"postgres://u:" + url.PathEscape(password) + "@host/db",
			"postgres://u:" + url.QueryEscape(password) + "@host/db?sslmode=require",
			"postgres://host/db?user=u&password=" + url.QueryEscape(password) + "&sslmode=require",
		} {
			s := NewSecret(written)
			forms := s.Forms()
			if password != "" && !cmp.Equal(forms, []string{written}) &&
				strings.Contains(written, url.PathEscape(password)) {
				quoted := fmt.Sprintf("%q", password)
				for _, want := range []string{password, url.PathEscape(password), url.QueryEscape(password),
					quoted[1 : len(quoted)-1]} {
					if text := s.Redact(before + want + after); strings.Contains(text, want) {
						t.Errorf("%q remains of %q in %q", want, written, text)
					}
				}
			}
			text := s.Redact(before + written + after + fmt.Sprintf("%q", written) + strings.Join(forms, after))
			for _, form := range forms {
				if strings.Contains(text, form) {
					t.Errorf("%q remains of %q in %q", form, written, text)
				}
			}
		}
	})
}
