package fingerprint

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

// hasher hashes objects in any order. Of each, it keeps only a digest.
type hasher struct {
	common int // objects of common kinds
	plain  []digest
	// printed are those whose definitions normalize may change. It is applied to them first.
	printed []digest

	uncommon int
	servers  string // the hash of those of uncommon kinds whose definitions are plain
}

type digest [sha256.Size]byte

// add adds an object of a common kind.
func (h *hasher) add(o object) {
	h.common++
	if mayBeRewritten(o.definition) {
		h.addPrinted([4]string{o.kind, o.name, o.definition, o.body})
		return
	}
	h.plain = append(h.plain, sha256.Sum256(serversJSON(o.kind, o.name, o.definition, o.body)))
}

func (h *hasher) addPrinted(o [4]string) {
	o[2] = normalize(o[2])
	h.printed = append(h.printed, sha256.Sum256([]byte(strings.Join(o[:], "\x00")))) // no text has a zero byte
}

// addUncommon adds the row of hashQuery.
func (h *hasher) addUncommon(w row) (err error) {
	if w.is(3) {
		return ErrChanged
	}
	if h.uncommon, err = strconv.Atoi(w.text(1)); err != nil {
		return err
	}
	h.servers = w.text(0)
	var printed [][4]string
	err = decode(w[2], &printed)
	for _, o := range printed {
		h.addPrinted(o)
	}
	return err
}

// sum is the hash of all objects.
func (h *hasher) sum() string {
	whole := sha256.New()
	fmt.Fprintln(whole, Version)
	if h.common > 0 {
		plain := sha256.New()
		writeSorted(plain, h.plain)
		fmt.Fprintf(whole, "%x", plain.Sum(nil))
	}
	if h.uncommon > 0 {
		fmt.Fprint(whole, h.servers)
	}
	fmt.Fprintln(whole)
	writeSorted(whole, h.printed)
	return hex.EncodeToString(whole.Sum(nil))
}

// writeSorted writes digests in their order, in hex.
func writeSorted(w io.Writer, digests []digest) {
	slices.SortFunc(digests, func(a, b digest) int { return bytes.Compare(a[:], b[:]) })
	for _, d := range digests {
		fmt.Fprintf(w, "%x", d[:])
	}
}

// serversJSON is an array of texts as the server prints a value of its type jsonb.
func serversJSON(texts ...string) []byte {
	text := []byte{'['}
	for i, t := range texts {
		if i > 0 {
			text = append(text, ", "...)
		}
		text = append(text, '"')
		for _, c := range []byte(t) {
			switch {
			case c == '"' || c == '\\':
				text = append(text, '\\', c)
			case c >= ' ':
				text = append(text, c)
			case strings.IndexByte("\b\f\n\r\t", c) >= 0:
				text = append(text, '\\', "bfnrt"[strings.IndexByte("\b\f\n\r\t", c)])
			default:
				text = fmt.Appendf(text, `\u%04x`, c)
			}
		}
		text = append(text, '"')
	}
	return append(text, ']')
}

// decode reads JSON, or leaves into as it is if there is none.
func decode(text []byte, into any) error {
	if text == nil {
		return nil
	}
	return json.Unmarshal(text, into)
}
