package pgdump

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"strings"
)

const (
	// markerWindow is where the end marker must be, in bytes from the end: patched versions write \unrestrict and a
	// token after it.
	markerWindow = 512
	endMarker    = "-- PostgreSQL database dump complete"
	headSize     = 4 << 10 // bytes, which contain the versions
)

var noMarker = fmt.Sprintf("its last %d bytes lack the line %q, so it is not whole", markerWindow, endMarker)

// scan collects what must be known of a dump while it passes by: its size, hash, versions, rows, and whether it is
// whole.
type scan struct {
	format Format
	hash   hash.Hash
	size   int64
	head   []byte // the first bytes
	tail   []byte // the last bytes
	rows   rowCounter
}

func newScan(format Format) *scan { return &scan{format: format, hash: sha256.New()} }

func (s *scan) write(p []byte) {
	s.hash.Write(p)
	if s.format == Plain {
		_, _ = s.rows.Write(p) // it never fails
	}
	s.size += int64(len(p))
	if room := headSize - len(s.head); room > 0 {
		s.head = append(s.head, p[:min(room, len(p))]...)
	}
	s.tail = lastBytes(s.tail, p, markerWindow)
}

// hasMarker reports whether a plain dump has come to its end.
func (s *scan) hasMarker() bool { return bytes.Contains(s.tail, []byte(endMarker)) }

// sum is the hash so far, in hex.
func (s *scan) sum() string { return hex.EncodeToString(s.hash.Sum(nil)) }

// serverVersion is the server's version as the dump states it.
func (s *scan) serverVersion() string { return serverVersion(s.format, s.head) }

// lastBytes returns the last n bytes of kept and p together, in kept's memory.
func lastBytes(kept, p []byte, n int) []byte {
	if len(p) >= n {
		return append(kept[:0], p[len(p)-n:]...)
	}
	if over := len(kept) + len(p) - n; over > 0 {
		kept = append(kept[:0], kept[over:]...)
	}
	return append(kept, p...)
}

// serverVersion reads the server's version from a dump's first bytes.
func serverVersion(format Format, head []byte) string {
	if format == Custom {
		return archiveServerVersion(head)
	}
	_, rest, _ := strings.Cut(string(head), "\n-- Dumped from database version ")
	line, _, _ := strings.Cut(rest, "\n")
	version, _, _ := strings.Cut(line, " ")
	return version
}
