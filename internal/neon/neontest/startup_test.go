package neontest

import (
	"bytes"
	"testing"
)

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
