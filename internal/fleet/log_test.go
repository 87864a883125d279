package fleet

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var clock = regexp.MustCompile(`(?m)^\d\d:\d\d:\d\d\.\d\d\d `)

// logged returns what a tenant's log holds after write, without the times, whose form it checks.
func logged(t *testing.T, write func(*slog.Logger)) string {
	t.Helper()
	log := &tenantLog{}
	write(slog.New(&logHandler{log: log}))
	text := string(log.bytes())
	if n := len(clock.FindAllString(text, -1)); n != strings.Count(text, "\n") {
		t.Errorf("%d of the lines begin with a time:\n%s", n, text)
	}
	return clock.ReplaceAllString(text, "")
}

func TestLogLines(t *testing.T) {
	for _, test := range []struct {
		name  string
		write func(*slog.Logger)
		want  string
	}{
		{"a message", func(l *slog.Logger) { l.Info("connected") }, "connected\n"},
		{"levels", func(l *slog.Logger) { l.Debug("d"); l.Warn("w"); l.Error("e") }, "DEBUG d\nWARN w\nERROR e\n"},
		{
			"attributes", func(l *slog.Logger) {
				l.Info("applied", "file", "1_a.sql", "took", 1234567*time.Nanosecond, "n", 3, "err", errors.New("a b"),
					"empty", "", "q", `"`)
			},
			`applied file=1_a.sql took=1.2ms n=3 err="a b" empty="" q="\""` + "\n",
		},
		{"a line break in a value", func(l *slog.Logger) { l.Info("m", "v", "a\nb") }, `m v="a\nb"` + "\n"},
		{
			"with and groups", func(l *slog.Logger) {
				inner := l.With("a", 1).WithGroup("g").With("b", 2)
				inner.WithGroup("h").Info("m", "c", 3)
				inner.Info("m", slog.Group("i", "d", 4))
				l.Info("m", "e", 5)
			},
			"m a=1 g.b=2 g.h.c=3\nm a=1 g.b=2 g.i.d=4\nm e=5\n",
		},
		{
			"what slog asks to be left out", func(l *slog.Logger) {
				l.WithGroup("").Info("m", slog.Attr{}, slog.Group("empty"), slog.Group("", "inline", 1))
			},
			"m inline=1\n",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, logged(t, test.write)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestLogHides(t *testing.T) {
	text := logged(t, func(l *slog.Logger) {
		l = l.With("before", `p"w/1`) // rendered before anything is hidden
		Hide(l, NewSecret("postgres://u:p%22w%2F1@host/db"))
		Hide(l.WithGroup("g"), NewSecret("napi_key"))
		l.Info(`p"w/1 and p%22w%2F1`, "url", "postgres://u:p%22w%2F1@host/db", "quoted", `say p"w/1`, "key", "napi_key")
		l.WithGroup("g").With("key", "napi_key").Error("boom", "err", fmt.Errorf("dial %q", `p"w/1`))
	})
	want := `*** and *** before="***" url=*** quoted="say ***" key=***` + "\n" +
		`ERROR boom before="***" g.key=*** g.err="dial \"***\""` + "\n"
	if diff := cmp.Diff(want, text); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	Hide(slog.New(slog.DiscardHandler), NewSecret("a")) // a log that is not the engine's is left alone
}

func TestRedactedErrorKeepsItsKind(t *testing.T) {
	log := &tenantLog{}
	log.hide(NewSecret("postgres://u:pw@host/db"))
	err := log.redactError(WithRemedy(&located{errors.New("login with pw failed")}, "change pw"))
	if got := err.Error(); got != "login with *** failed" {
		t.Errorf("the error reads %q", got)
	}
	if got := Remedy(err); got != "change ***" {
		t.Errorf("the remedy reads %q", got)
	}
	if file, line := Location(err); file != "a.sql" || line != 7 {
		t.Errorf("the location is %s:%d", file, line)
	}
	if bare := log.redactError(errors.New("x")); Remedy(bare) != "" {
		t.Errorf("a remedy out of nothing: %q", Remedy(bare))
	}
}

type located struct{ error }

func (e *located) Unwrap() error         { return e.error }
func (*located) Location() (string, int) { return "a.sql", 7 }

func TestLogIsCutInTheMiddle(t *testing.T) {
	const lines = 10_000
	log := &tenantLog{}
	total := 0
	for i := range lines {
		line := fmt.Sprintf("line %d of the log\n", i)
		total += len(line)
		log.write(line)
	}
	text := string(log.bytes())
	head, tail, ok := strings.Cut(text, "... ")
	count, tail, ok2 := strings.Cut(tail, " bytes of log left out ...\n")
	if !ok || !ok2 {
		t.Fatalf("no mark where the log was cut:\n%.200s", text)
	}
	if n, err := strconv.Atoi(count); err != nil || n != total-len(head)-len(tail) {
		t.Errorf("it says that %s bytes are left out, but %d are", count, total-len(head)-len(tail))
	}
	if len(head) > logHead || len(head) < logHead-40 || len(tail) > logTail || len(tail) < logTail-40 {
		t.Errorf("kept %d and %d bytes, want about %d and %d", len(head), len(tail), logHead, logTail)
	}
	if !strings.HasPrefix(head, "line 0 of the log\n") || !strings.HasSuffix(tail, "line 9999 of the log\n") {
		t.Error("the log's beginning or end is gone")
	}
	for line := range strings.Lines(head + tail) {
		if !regexp.MustCompile(`^line \d+ of the log\n$`).MatchString(line) {
			t.Errorf("a line was cut: %q", line)
		}
	}
}

func TestLogWithHugeLines(t *testing.T) {
	for _, test := range []struct {
		name  string
		lines []string
		head  string // what the log begins with
		tail  string // what it ends with
	}{
		{"one alone", []string{"begin" + strings.Repeat("x", 1<<20) + "end\n"}, "beginxxx", "xxxend\n"},
		{"as the last", []string{"first\n", "begin" + strings.Repeat("x", 1<<20) + "end\n"}, "first\nbeginxxx",
			"xxxend\n"},
		{"as the first", []string{"begin" + strings.Repeat("x", 1<<20) + "\n", "last\n"}, "beginxxx",
			"left out ...\nlast\n"},
		{"just over what is kept", []string{strings.Repeat("x", logHead+logTail) + "\n"}, "xxx", "xxx\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			log := &tenantLog{}
			total := 0
			for _, line := range test.lines {
				total += len(line)
				log.write(line)
			}
			text := string(log.bytes())
			if !strings.HasPrefix(text, test.head) || !strings.HasSuffix(text, test.tail) ||
				len(text) > logHead+logTail+100 {
				t.Errorf("%d bytes: %.20q … %.40q", len(text), text, text[len(text)-40:])
			}
			mark := regexp.MustCompile(`\n\.\.\. (\d+) bytes of log left out \.\.\.\n`)
			if m := mark.FindStringSubmatch(text); m == nil {
				t.Error("no mark on a line of its own")
			} else if n, _ := strconv.Atoi(m[1]); n < total-len(text) || n > total-len(text)+100 {
				t.Errorf("it says that %d bytes of %d are left out and keeps %d", n, total, len(text))
			}
			if held := cap(log.head) + cap(log.tail); held > 4*(logHead+logTail) {
				t.Errorf("holds %d bytes", held)
			}
		})
	}
}

func TestLogOfModerateLengthIsWhole(t *testing.T) {
	log := &tenantLog{}
	var want bytes.Buffer
	for range 60 {
		line := strings.Repeat("y", 1000) + "\n"
		want.WriteString(line)
		log.write(line)
	}
	if !bytes.Equal(want.Bytes(), log.bytes()) {
		t.Error("60 kB of log did not come back as they were")
	}
}
