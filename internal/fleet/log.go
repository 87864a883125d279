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

// How much of a tenant's log is kept: its beginning, which shows the cause, and its end, which shows the effect.
const (
	logHead = 32 << 10 // bytes
	logTail = 32 << 10 // bytes
)

// Hide redacts every form of the secret from what the engine passes on about this tenant from now on: its log, error,
// note and warnings. log is the logger that the job was given; any other is left alone.
func Hide(log *slog.Logger, s Secret) {
	if h, ok := log.Handler().(*logHandler); ok {
		h.log.hide(s)
	}
}

// Redact takes every form of the secrets that [Hide] was told of out of a text that a job keeps beside its outcome.
func Redact(log *slog.Logger, text string) string {
	if h, ok := log.Handler().(*logHandler); ok {
		return h.log.redact(text)
	}
	return text
}

// tenantLog collects one running tenant's log lines in bounded memory.
type tenantLog struct {
	mu      sync.Mutex
	hidden  []Secret
	forms   [][]string // of each of them: finding these takes longer than looking for them
	head    []byte
	tail    []byte
	dropped int // bytes cut between head and tail
}

func (l *tenantLog) hide(s Secret) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !slices.Contains(l.hidden, s) {
		l.hidden, l.forms = append(l.hidden, s), append(l.forms, s.Forms())
	}
}

func (l *tenantLog) redact(text string) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.redactLocked(text)
}

func (l *tenantLog) redactLocked(text string) string {
	for _, forms := range l.forms {
		text = redact(text, forms)
	}
	return text
}

func (l *tenantLog) write(line string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	line = l.redactLocked(line)
	if room := logHead - len(l.head); len(l.tail) == 0 && (len(line) <= room || len(line) > logTail) {
		cut := min(len(line), room) // only a line that neither part can hold is cut
		l.head, line = append(l.head, line[:cut]...), line[cut:]
	}
	l.tail = append(l.tail, line...)
	if len(l.tail) > 2*logTail { // cut rarely, so that a line costs no copy of the whole tail
		cut := len(l.tail) - logTail
		l.dropped += cut
		// Copied, because cutting in place would keep the memory that a huge line took.
		l.tail = append(make([]byte, 0, 2*logTail), l.tail[cut:]...)
	}
}

// bytes returns the log, cut in the middle if it is long.
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
		if len(out) > 0 && out[len(out)-1] != '\n' {
			out = append(out, '\n')
		}
		// Begin with a whole line, unless there is only one.
		if i := slices.Index(tail, '\n'); i >= 0 && i+1 < len(tail) {
			dropped += i + 1
			tail = tail[i+1:]
		}
		out = fmt.Appendf(out, "... %d bytes of log left out ...\n", dropped)
	}
	return append(out, tail...)
}

// redactError redacts the hidden secrets from an error's text and remedy.
func (l *tenantLog) redactError(err error) error {
	return &redacted{err, l.redact(err.Error()), l.redact(Remedy(err))}
}

// redacted is an error whose text and remedy are redacted. errors.As still finds the types that it wraps.
type redacted struct {
	error
	text, remedy string
}

func (e *redacted) Error() string  { return e.text }
func (e *redacted) Unwrap() error  { return e.error }
func (e *redacted) Remedy() string { return e.remedy }

// logHandler writes slog records as lines for people: time, level unless it is INFO, message, attributes.
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
		h.writeAttr(&b, h.group, a)
		return true
	})
	h.log.write(b.String() + "\n")
	return nil
}

func (h *logHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	var b strings.Builder
	for _, a := range attrs {
		h.writeAttr(&b, h.group, a)
	}
	return &logHandler{h.log, h.prefix + b.String(), h.group}
}

func (h *logHandler) WithGroup(name string) slog.Handler {
	return &logHandler{h.log, h.prefix, h.group + name + "."}
}

// writeAttr redacts before it quotes: a value may already be quoted, and no form of a secret is quoted twice.
func (h *logHandler) writeAttr(b *strings.Builder, group string, a slog.Attr) {
	v := a.Value.Resolve()
	if v.Kind() == slog.KindGroup {
		if a.Key != "" { // slog inlines the attributes of a group without a name
			group += a.Key + "."
		}
		for _, inner := range v.Group() {
			h.writeAttr(b, group, inner)
		}
		return
	}
	if a.Equal(slog.Attr{}) {
		return
	}
	text := v.String()
	if v.Kind() == slog.KindDuration {
		text = v.Duration().Round(100 * time.Microsecond).String()
	}
	text = h.log.redact(text)
	if text == "" || strings.ContainsAny(text, " \t\n\"=") {
		text = fmt.Sprintf("%q", text)
	}
	fmt.Fprintf(b, " %s%s=%s", group, a.Key, text)
}
