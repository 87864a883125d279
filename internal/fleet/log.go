package fleet

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"
)

// How much of a tenant's log is kept: its beginning, where the cause stands, and its end, where the effect does.
const (
	logHead = 32 << 10 // bytes
	logTail = 32 << 10 // bytes
)

// Hide makes sure that no form of the secret appears in what the engine passes on about this tenant from now on: its log,
// its error, its note and its warnings. log is the one that the job was given.
func Hide(log *slog.Logger, s Secret) {
	if h, ok := log.Handler().(*logHandler); ok {
		h.log.hide(s)
	}
}

// tenantLog collects one running tenant's log lines in bounded memory.
type tenantLog struct {
	mu      sync.Mutex
	hidden  []Secret
	head    []byte
	tail    []byte
	dropped int // bytes cut between head and tail
}

func (l *tenantLog) hide(s Secret) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !slices.Contains(l.hidden, s) {
		l.hidden = append(l.hidden, s)
	}
}

func (l *tenantLog) redact(text string) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.redactLocked(text)
}

func (l *tenantLog) redactLocked(text string) string {
	for _, s := range l.hidden {
		text = s.Redact(text)
	}
	return text
}

func (l *tenantLog) write(line string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	line = l.redactLocked(line)
	if len(l.tail) == 0 && len(l.head)+len(line) <= logHead {
		l.head = append(l.head, line...)
		return
	}
	l.tail = append(l.tail, line...)
	if len(l.tail) > 2*logTail { // cut rarely, so that a line costs no copy of the whole tail
		cut := len(l.tail) - logTail
		l.dropped += cut
		l.tail = append(l.tail[:0], l.tail[cut:]...)
	}
}

// bytes returns the log, cut in the middle where it was long.
func (l *tenantLog) bytes() []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := slices.Clone(l.head)
	tail, dropped := l.tail, l.dropped
	if len(tail) > logTail {
		dropped += len(tail) - logTail
		tail = tail[len(tail)-logTail:]
	}
	if dropped > 0 {
		if i := slices.Index(tail, '\n'); i >= 0 { // begin with a whole line
			dropped += i + 1
			tail = tail[i+1:]
		}
		out = fmt.Appendf(out, "... %d bytes of log left out ...\n", dropped)
	}
	return append(out, tail...)
}

// redacted is an error whose text had secrets taken out; what it wraps can still be asked for its remedy and type.
type redacted struct {
	error
	text string
}

func (e *redacted) Error() string { return e.text }
func (e *redacted) Unwrap() error { return e.error }

// logHandler writes slog records as lines a person reads: time, level where it matters, message, attributes.
type logHandler struct {
	log    *tenantLog
	prefix string // attributes set by With, already rendered
	group  string
}

func (h *logHandler) Enabled(context.Context, slog.Level) bool { return true }

func (h *logHandler) Handle(_ context.Context, r slog.Record) error {
	var b strings.Builder
	b.WriteString(r.Time.UTC().Format("15:04:05.000 "))
	if r.Level != slog.LevelInfo {
		b.WriteString(r.Level.String() + " ")
	}
	b.WriteString(r.Message)
	b.WriteString(h.prefix)
	r.Attrs(func(a slog.Attr) bool {
		writeAttr(&b, h.group, a)
		return true
	})
	h.log.write(b.String() + "\n")
	return nil
}

func (h *logHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	var b strings.Builder
	for _, a := range attrs {
		writeAttr(&b, h.group, a)
	}
	return &logHandler{h.log, h.prefix + b.String(), h.group}
}

func (h *logHandler) WithGroup(name string) slog.Handler {
	return &logHandler{h.log, h.prefix, h.group + name + "."}
}

func writeAttr(b *strings.Builder, group string, a slog.Attr) {
	v := a.Value.Resolve()
	if v.Kind() == slog.KindGroup {
		for _, inner := range v.Group() {
			writeAttr(b, group+a.Key+".", inner)
		}
		return
	}
	text := v.String()
	if v.Kind() == slog.KindDuration {
		text = v.Duration().Round(100 * time.Microsecond).String()
	}
	if text == "" || strings.ContainsAny(text, " \t\n\"=") {
		text = fmt.Sprintf("%q", text)
	}
	fmt.Fprintf(b, " %s%s=%s", group, a.Key, text)
}
