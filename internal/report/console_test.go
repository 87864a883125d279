package report

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

func TestReferenceParserSeesCommands(t *testing.T) {
	for _, line := range []string{
		"::error::x", "  \t::error file=a,line=1::x", "text ##[error]x", "\u00a0::warning::x", "a\r::notice::x",
		"\u200d:\u200d:set-output name=a::b", "a\u2028::error::x",
	} {
		if found, _ := parseLog(line); len(found) != 1 {
			t.Errorf("%q: found %v, want one command", line, found)
		}
	}
}

func TestLine(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{"[ 1/2] acme  3 applied", "[ 1/2] acme  3 applied\n"},
		{"::error::x", ":\\:error::x\n"},
		{"  ::error::x", "  :\\:error::x\n"},
		{"at ::error::x", "at ::error::x\n"},
		{"a ##[group]b", "a ##\\[group]b\n"},
		{"a\n[ 2/2] forged", "a\n  [ 2/2] forged\n"},
		{"a\r\nb\rc\vd\u2028e", "a\n  b\n  c\n  d\n  e\n"},
		{"\x1b[31mred\x1b[0m", "\\x1b[31mred\\x1b[0m\n"},
		{"\u202eevil \u200b \x00 \xff", "\\u202eevil \\u200b \\x00 \\xff\n"},
		{"👩‍💻 ❤️ پرداخت‌ها", "👩‍💻 ❤️ پرداخت‌ها\n"},
		{"a\tb\u00a0c", "a    b c\n"},
		{"", "\n"},
	} {
		var b bytes.Buffer
		NewConsole(&b, true).Line(tt.in)
		if diff := cmp.Diff(tt.want, b.String()); diff != "" {
			t.Errorf("Line(%q) (-want +got):\n%s", tt.in, diff)
		}
	}
}

func TestMask(t *testing.T) {
	var b bytes.Buffer
	c := NewConsole(&b, true)
	c.Mask("", "  ", "ab", "abc", "one line 100%", "first\r\nsecond\nx")
	want := "::add-mask::abc\n::add-mask::one line 100%25\n" +
		"::add-mask::first%0D%0Asecond%0Ax\n::add-mask::first\n::add-mask::second\n"
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	b.Reset()
	NewConsole(&b, false).Mask("secret")
	if b.Len() > 0 {
		t.Errorf("outside Actions it printed %q", b.String())
	}
}

func TestGroup(t *testing.T) {
	for _, tt := range []struct {
		actions bool
		want    string
	}{
		{true, "::group::log of a b%25\n  one\n  :\\:endgroup::\n::endgroup::\n"},
		{false, "log of a b%\n  one\n  :\\:endgroup::\n"},
	} {
		var b bytes.Buffer
		NewConsole(&b, tt.actions).Group("log of a\nb%", []byte("one\n::endgroup::\n\n"))
		if diff := cmp.Diff(tt.want, b.String()); diff != "" {
			t.Errorf("actions %v (-want +got):\n%s", tt.actions, diff)
		}
	}
}

func TestAnnotationForms(t *testing.T) {
	var b bytes.Buffer
	c := NewConsole(&b, true)
	c.Error("bad\nthing 5%", "db/a,b:c.sql", 12)
	c.Warning("w", "", 3)
	c.Notice("n", "x.sql", 0)
	want := "::error file=db/a%2Cb%3Ac.sql,line=12::bad%0Athing 5%25\n::warning::w\n::notice file=x.sql::n\n"
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	b.Reset()
	c = NewConsole(&b, false)
	c.Error("bad\nthing", "db/a.sql", 12)
	c.Warning("w", "", 0)
	if diff := cmp.Diff("error: db/a.sql:12: bad\n  thing\nwarning: w\n", b.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestConcurrent proves, with the race detector, that nothing interrupts what one call prints.
func TestConcurrent(t *testing.T) {
	var b bytes.Buffer
	c := NewConsole(&b, true)
	var all sync.WaitGroup
	for i := range 20 {
		all.Go(func() {
			for range 20 {
				c.Group(fmt.Sprint(i), []byte(fmt.Sprintf("%d\n%d", i, i)))
			}
		})
	}
	all.Wait()
	lines := strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
	for i := 0; i < len(lines); i += 4 {
		n := strings.TrimPrefix(lines[i], "::group::")
		if diff := cmp.Diff([]string{"::group::" + n, "  " + n, "  " + n, "::endgroup::"}, lines[i:i+4]); diff != "" {
			t.Fatalf("group %d is torn:\n%s", i/4, diff)
		}
	}
}

// FuzzLog proves that no text can become a command or a separate message, however it is printed.
func FuzzLog(f *testing.F) {
	for _, name := range hostileNames {
		f.Add(name, name)
	}
	f.Add("\u200d::error::x", "#\u200d#[error]x")
	f.Add("é\u200d::error::x", "é\ufe0f##[error]x")
	f.Add("\u3000\u200d:\u200d:error::x", "\u034f::error::x")
	f.Fuzz(func(t *testing.T, text, other string) {
		var b bytes.Buffer
		c := NewConsole(&b, true)
		c.Line(text)
		c.Line("[ 1/2] " + other + "  failed  " + text)
		if found, _ := parseLog(b.String()); len(found) > 0 {
			t.Errorf("Line(%q): the runner obeys %v in %q", text, found, b.String())
		}
		for i, line := range strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n") {
			if i > 0 && !strings.HasPrefix(line, indent) && !strings.HasPrefix(line, "[ 1/2] ") {
				t.Errorf("Line(%q) printed a line that looks like a message of its own: %q", text, line)
			}
		}

		b.Reset()
		c.Group(text, []byte(other))
		found, _ := parseLog(b.String())
		if len(found) != 2 || found[0].name != "group" || found[1].name != "endgroup" {
			t.Errorf("Group(%q, %q): the runner obeys %v", text, other, found)
		}

		b.Reset()
		c.Error(text, other, 7)
		found, rest := parseLog(b.String())
		if len(found) != 1 || len(rest) > 0 || found[0].name != "error" {
			t.Fatalf("Error(%q, %q): the runner obeys %v, prints %q", text, other, found, rest)
		}
		if other != "" && (found[0].properties["file"] != visible(other) || found[0].properties["line"] != "7") ||
			len(found[0].properties) > 2 {
			t.Errorf("Error(%q, %q): properties %q", text, other, found[0].properties)
		}
		// The log viewer interprets the message's lines again.
		if again, _ := parseLog(found[0].data); len(again) > 0 {
			t.Errorf("Error(%q): its message holds %v", text, again)
		}
		if v := visible(text); !utf8.ValidString(v) || visible(v) != v {
			t.Errorf("visible(%q) = %q, then %q", text, v, visible(v))
		}
		if v := inert(text); inert(v) != v {
			t.Errorf("inert(%q) = %q, then %q", text, v, inert(v))
		}
	})
}

// The runner looks for every mask in every line of the job, so that each text is announced once.
func TestMaskAnnouncesATextOnce(t *testing.T) {
	var b bytes.Buffer
	c := NewConsole(&b, true)
	for range 3 {
		c.Mask("hush-hush", "a", "two\nlines")
	}
	if want := "::add-mask::hush-hush\n::add-mask::two%0Alines\n::add-mask::two\n::add-mask::lines\n"; b.String() != want {
		t.Errorf("%q, want %q", b.String(), want)
	}
}
