package neontest

import (
	"bytes"
	"testing"
	"time"
)

func TestWindowSlides(t *testing.T) {
	w := window{span: time.Second}
	start := time.Now()
	for i := range 10 {
		w.add(start.Add(time.Duration(i) * 200 * time.Millisecond)) // the last at 1.8 s
	}
	if n := w.count(start.Add(1800 * time.Millisecond)); n != 6 || w.most != 6 {
		t.Errorf("%d in the window, at most %d; want 6 (0.8 s to 1.8 s)", n, w.most)
	}
	if n := w.count(start.Add(2500 * time.Millisecond)); n != 2 {
		t.Errorf("%d left, want 2", n)
	}
	if n := w.count(start.Add(time.Minute)); n != 0 {
		t.Errorf("%d left, want none", n)
	}
}

func FuzzStartup(f *testing.F) {
	f.Add([]byte("user\x00me\x00database\x00mine\x00\x00"))
	f.Add([]byte("user\x00me\x00options\x00endpoint=ep-a -c x=1\x00\x00"))
	f.Add([]byte("\x00"))
	f.Fuzz(func(t *testing.T, body []byte) {
		s, err := parseStartup(3<<16, body)
		if err != nil {
			return
		}
		encoded := s.encode()
		code, again, err := readStartup(bytes.NewReader(encoded))
		if len(encoded) <= 10000 && (err != nil || code != 3<<16 || !bytes.Equal(again, body)) {
			t.Errorf("%q became %q: %v", body, again, err)
		}
		s.takeEndpoint()
		s.refusedByPooler()
	})
}
