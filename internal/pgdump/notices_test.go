package pgdump

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
)

func TestNoticesAreBounded(t *testing.T) {
	var out bytes.Buffer
	n := newNotices(slog.New(slog.NewTextHandler(&out, nil)))
	log := slog.New(n)
	for range maxNotices + 7 {
		log.Info("NOTICE: x")
	}
	if lines := strings.Count(out.String(), "\n"); lines != maxNotices || n.left() != 7 {
		t.Errorf("%d lines, %d left", lines, n.left())
	}
}
