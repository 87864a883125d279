package fleet

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unique"
)

const hidden = "***"

// Secret is a value that cannot be printed by accident: fmt, slog and encoding/json all write *** in its place. Two
// secrets with the same value and of the same trust are equal.
type Secret struct {
	// A handle, because fmt prints a struct's unexported fields without calling their methods: of a handle it sees only
	// an address. The zero handle is the empty value.
	handle  unique.Handle[string]
	trusted bool
}

// NewSecret wraps a value.
func NewSecret(value string) Secret {
	if value == "" {
		return Secret{}
	}
	return Secret{handle: unique.Make(value)}
}

// TrustedSecret is [NewSecret] for a value that whoever runs the program wrote, and not a table, another secret or an
// API's answer. As a connection string it may name files of this machine.
func TrustedSecret(value string) Secret {
	s := NewSecret(value)
	s.trusted = s != Secret{}
	return s
}

// Trusted reports whether it is a [TrustedSecret].
func (s Secret) Trusted() bool { return s.trusted }

// Reveal returns the value, for the one call that uses it.
func (s Secret) Reveal() string {
	if s == (Secret{}) {
		return ""
	}
	return s.handle.Value()
}

// Forms lists every text that would give the secret away: the whole value, and for a URL its passwords as written,
// percent-decoded and encoded again; each of these also as %q quotes it. Empty texts are left out. The longest comes
// first, so that replacing a shorter form never leaves part of a longer one behind.
func (s Secret) Forms() []string {
	var forms []string
	add := func(texts ...string) {
		for _, f := range texts {
			if f != "" && !slices.Contains(forms, f) {
				forms = append(forms, f)
			}
		}
	}
	value := s.Reveal()
	add(value)
	for _, password := range passwords(value) {
		add(password)
		for _, decode := range []func(string) (string, error){url.PathUnescape, url.QueryUnescape} {
			if plain, err := decode(password); err == nil {
				inUserinfo := strings.TrimPrefix(url.UserPassword("", plain).String(), ":")
				add(plain, url.QueryEscape(plain), url.PathEscape(plain), inUserinfo)
			}
		}
	}
	for _, f := range slices.Clone(forms) {
		quoted := strconv.Quote(f)
		add(quoted[1 : len(quoted)-1])
	}
	slices.SortStableFunc(forms, func(a, b string) int { return len(b) - len(a) })
	return forms
}

// passwords finds the passwords in a URL exactly as they are written. It does not use net/url, because the text has to
// be masked as it is, even if it is no valid URL.
func passwords(text string) []string {
	var found []string
	_, rest, ok := strings.Cut(text, "://")
	if !ok {
		return nil
	}
	authority, query := rest, ""
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		authority = rest[:i]
	}
	if i := strings.IndexByte(rest, '?'); i >= 0 {
		query = rest[i+1:]
	}
	for _, part := range []string{authority, rest} { // rest, in case the password holds a / ? or # that is not encoded
		if i := strings.LastIndexByte(part, '@'); i >= 0 {
			if _, password, ok := strings.Cut(part[:i], ":"); ok {
				found = append(found, password)
			}
		}
	}
	for parameter := range strings.SplitSeq(query, "&") {
		if name, password, _ := strings.Cut(parameter, "="); name == "password" || name == "sslpassword" {
			found = append(found, password)
		}
	}
	return found
}

// Redact replaces every form of the secret in text with ***.
func (s Secret) Redact(text string) string { return redact(text, s.Forms()) }

func redact(text string, forms []string) string {
	for _, f := range forms {
		text = strings.ReplaceAll(text, f, hidden)
	}
	return text
}

// Format implements [fmt.Formatter], so that no verb prints the value.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(hidden)) }

// LogValue implements [slog.LogValuer].
func (s Secret) LogValue() slog.Value { return slog.StringValue(hidden) }

// MarshalJSON implements [json.Marshaler].
func (s Secret) MarshalJSON() ([]byte, error) { return json.Marshal(hidden) }

// MarshalText implements [encoding.TextMarshaler].
func (s Secret) MarshalText() ([]byte, error) { return []byte(hidden), nil }
