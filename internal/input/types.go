package input

import (
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/org/neon-tenants-action/internal/workspace"
)

// Parse returns what parse makes of an input's value. The error of parse becomes the mistake, so it should name the
// rule. For an empty value, Parse returns the zero value without calling parse.
func Parse[T any](r *Reader, name string, parse func(string) (T, error)) T {
	var zero T
	text := r.String(name)
	if text == "" {
		return zero
	}
	v, err := parse(text)
	if err != nil {
		r.Mistake(name, "%v", err)
		return zero
	}
	return v
}

// Bool returns the value of a switch: true or false, in any letter case.
func (r *Reader) Bool(name string) bool {
	return Parse(r, name, func(s string) (bool, error) {
		switch strings.ToLower(s) {
		case "true":
			return true, nil
		case "false":
			return false, nil
		}
		return false, fmt.Errorf("%q is neither true nor false; write true or false", s)
	})
}

// Int returns a whole number from low to high.
func (r *Reader) Int(name string, low, high int) int {
	return Parse(r, name, func(s string) (int, error) {
		n, err := strconv.Atoi(s)
		if err != nil || n < low || n > high {
			return 0, fmt.Errorf("%q is not a whole number from %d to %d; write for example %s: %s",
				s, low, high, name, r.exampleOf(name, s, low, high))
		}
		return n, nil
	})
}

// numberWithUnit is a number as people write one whose unit the input's name says.
var numberWithUnit = regexp.MustCompile(`^(\d+) *([a-z]+)$`)

// exampleOf is a number that somebody may copy: the one that was meant (7d for an input of days), or else the input's
// default. Nobody means a 0 that is no number, with which much would be deleted.
func (r *Reader) exampleOf(name, text string, low, high int) string {
	if m := numberWithUnit.FindStringSubmatch(strings.ToLower(text)); m != nil {
		unit := name[strings.LastIndex(name, "-")+1:]
		if n, err := strconv.Atoi(m[1]); err == nil && n >= low && n <= high && strings.HasPrefix(unit, m[2]) {
			return m[1]
		}
	}
	if f, _ := r.def.Input(name); f.Default != "" && f.Default != "0" {
		return f.Default
	}
	const harmless = 7
	return strconv.Itoa(max(low, min(harmless, high)))
}

// Duration returns a positive duration; zero if the input is empty.
func (r *Reader) Duration(name string) time.Duration { return Parse(r, name, ParseDuration) }

// ParseDuration parses a positive duration: Go's own, which may begin with a whole number of days of 24 hours, such as
// 7d or 1d12h.
func ParseDuration(s string) (time.Duration, error) {
	wrong := fmt.Errorf("%q is not a positive duration; write for example 90s, 30m, 1h30m or 7d", s)
	d := time.Duration(0)
	days, rest, found := strings.Cut(s, "d")
	if !found {
		rest = s
	} else {
		const most = 100 * 365 // far from what a time.Duration holds
		n, err := strconv.ParseUint(days, 10, 64)
		if err != nil || n > most {
			return 0, wrong
		}
		d = time.Duration(n) * 24 * time.Hour
	}
	if rest != "" {
		more, err := time.ParseDuration(rest)
		if err != nil || more < 0 {
			return 0, wrong
		}
		d += more
	}
	if d <= 0 {
		return 0, wrong
	}
	return d, nil
}

// ParseDurationOrZero is [ParseDuration] that takes a zero too, such as 0 or 0s.
func ParseDurationOrZero(s string) (time.Duration, error) {
	if d, err := time.ParseDuration(s); err == nil && d == 0 {
		return 0, nil
	}
	return ParseDuration(s)
}

var sizeShape = regexp.MustCompile(`^(\d+(?:\.\d+)?)\s*(?i:(b|kb|mb|gb|tb)?)$`)

// ParseSize reads a size in decimal units, as the report writes them.
func ParseSize(text string) (int64, error) {
	m := sizeShape.FindStringSubmatch(text)
	if m == nil {
		return 0, fmt.Errorf("%q is no size; write for example 500MB, 1GB or 0", text)
	}
	n, err := strconv.ParseFloat(m[1], 64)
	power := slices.Index([]string{"", "kb", "mb", "gb", "tb"}, strings.ToLower(m[2]))
	for range max(0, power) {
		n *= 1000
	}
	if err != nil || n > 1<<62 {
		return 0, fmt.Errorf("%q is no size that anything has; write for example 500MB or 1GB", text)
	}
	return int64(n), nil
}

// Choice returns one of the allowed values, which may be given in any letter case. From then on, [Reader.String]
// returns it as it is written here.
func (r *Reader) Choice(name string, allowed ...string) string {
	return Parse(r, name, func(s string) (string, error) {
		value := Canonical(s, allowed)
		if !slices.Contains(allowed, value) {
			return "", fmt.Errorf("%q is not one of its values; write one of %s", s, strings.Join(allowed, ", "))
		}
		if value != s {
			r.values[name] = value
		}
		return value, nil
	})
}

// Canonical returns the allowed value that differs from a text in letter case only, or else the text.
func Canonical(text string, allowed []string) string {
	for _, value := range allowed {
		if strings.EqualFold(text, value) {
			return value
		}
	}
	return text
}

// List returns the entries of a list separated by commas or line breaks, trimmed. Empty entries and lines that begin
// with # are left out.
func (r *Reader) List(name string) []string {
	return List(r.String(name))
}

// List splits a list as [Reader.List] does.
func List(text string) []string {
	var out []string
	for line := range strings.Lines(text) {
		if strings.HasPrefix(strings.TrimSpace(line), "#") {
			continue
		}
		for entry := range strings.SplitSeq(line, ",") {
			if entry = strings.TrimSpace(entry); entry != "" {
				out = append(out, entry)
			}
		}
	}
	return out
}

// URL returns an absolute http or https URL without user, query or fragment.
func (r *Reader) URL(name string) *url.URL {
	return Parse(r, name, func(s string) (*url.URL, error) {
		u, err := url.Parse(s)
		if err != nil || (u.Scheme != "https" && u.Scheme != "http") || u.Host == "" ||
			u.User != nil || u.RawQuery != "" || u.Fragment != "" {
			// The value is not quoted: it may be a secret in the wrong input.
			return nil, fmt.Errorf("is not an absolute https URL without credentials or query; "+
				"write for example %s: https://host/path", name)
		}
		return u, nil
	})
}

// File returns a file that is to be written: see [workspace.Workspace.File]. An empty value, even where that is not the
// default, means none.
func (r *Reader) File(name string) workspace.File {
	path := r.Optional(name)
	if path == "" {
		return workspace.File{}
	}
	f, err := r.workspace.File(path)
	if err != nil {
		r.Mistake(name, "%q cannot be written: %v; name a path in the workspace", path, err)
	}
	return f
}

// Path returns an absolute path. A relative value is relative to the workspace: $GITHUB_WORKSPACE, or the working
// directory if that is not set.
func (r *Reader) Path(name string) string {
	return Parse(r, name, func(s string) (string, error) {
		if filepath.IsAbs(s) {
			return filepath.Clean(s), nil
		}
		abs, err := filepath.Abs(filepath.Join(r.workspace.Root, s))
		if err != nil {
			return "", fmt.Errorf("%q cannot be made an absolute path: %w", s, err)
		}
		return abs, nil
	})
}

// Dir is [Reader.Path] for a directory that must exist.
func (r *Reader) Dir(name string) string {
	path := r.Path(name)
	if path == "" {
		return ""
	}
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR): // the latter if a parent is a file
		r.Mistake(name, "there is no directory %q in the workspace; "+
			"add a step that uses actions/checkout before this one, or correct the path", r.String(name))
		return ""
	case err != nil:
		r.Mistake(name, "the directory %q cannot be read: %v; "+
			"correct the path, or give the workflow's user read access", r.String(name), reason(err))
		return ""
	case !info.IsDir():
		r.Mistake(name, "%q is a file; name the directory that holds it", r.String(name))
		return ""
	}
	return path
}
