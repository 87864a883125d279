package fleet

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
)

const hidden = "***"

// Secret is a connection string that cannot print itself: fmt, slog and encoding/json all write ***.
type Secret struct{ value string }

// NewSecret wraps a value.
func NewSecret(value string) Secret { return Secret{value} }

// Reveal returns the value, for the one call that needs it.
func (s Secret) Reveal() string { return s.value }

// Forms lists every text that would give the secret away, longest first: the whole value, and for a URL its password as
// written (percent-encoded) and decoded. Empty texts are left out.
func (s Secret) Forms() []string {
	var forms []string
	add := func(f string) {
		for _, have := range forms {
			if have == f {
				return
			}
		}
		if f != "" {
			forms = append(forms, f)
		}
	}
	add(s.value)
	_, rest, ok := strings.Cut(s.value, "://")
	if !ok {
		return forms
	}
	// Cut by hand, not by net/url: what has to be masked is the text as it stands, also where it is not a valid URL.
	authority := rest
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		authority = rest[:i]
	}
	if i := strings.LastIndexByte(authority, '@'); i >= 0 {
		if _, password, ok := strings.Cut(authority[:i], ":"); ok {
			add(password)
			if plain, err := url.PathUnescape(password); err == nil {
				add(plain)
				add(url.QueryEscape(plain))
				add(url.PathEscape(plain))
			}
		}
	}
	if u, err := url.Parse(s.value); err == nil {
		add(u.Query().Get("password"))
	}
	return forms
}

// Redact replaces every form of the secret in text.
func (s Secret) Redact(text string) string {
	for _, f := range s.Forms() {
		text = strings.ReplaceAll(text, f, hidden)
	}
	return text
}

// Format implements fmt.Formatter, so that no verb reaches the value.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(hidden)) }

// LogValue implements slog.LogValuer.
func (s Secret) LogValue() slog.Value { return slog.StringValue(hidden) }

// MarshalJSON implements json.Marshaler.
func (s Secret) MarshalJSON() ([]byte, error) { return json.Marshal(hidden) }

// MarshalText implements encoding.TextMarshaler.
func (s Secret) MarshalText() ([]byte, error) { return []byte(hidden), nil }
