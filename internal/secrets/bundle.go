package secrets

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/org/neon-tenants-action/internal/github"
)

// Fill is the largest value of a bundle, in bytes. The margin below GitHub's limit covers the 48 bytes that sealing
// adds.
const Fill = github.MaxValue - 64

// EncodeBundle writes members as a bundle's value: a JSON object, {key: connection string}, in the order of the keys
// and on one line.
func EncodeBundle(members map[string]string) string {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, key := range slices.Sorted(maps.Keys(members)) {
		if i > 0 {
			b.WriteByte(',')
		}
		b.Write(entry(key, members[key]))
	}
	b.WriteByte('}')
	return b.String()
}

// entry is one member of a bundle's JSON object. HTML's characters are not escaped: a URL's & would take six bytes.
func entry(key, value string) []byte {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(key) // cannot fail: a string, written to memory
	b.Truncate(b.Len() - 1) // Encode's line break
	b.WriteByte(':')
	_ = encoder.Encode(value)
	b.Truncate(b.Len() - 1)
	return b.Bytes()
}

// Entry is a name and its value in a JSON object.
type Entry struct{ Name, Value string }

// ParseObject reads the entries of a JSON object whose values are strings, in their order; others are left out. No
// error quotes any of the text.
func ParseObject(text string) ([]Entry, error) {
	decoder := json.NewDecoder(bytes.NewReader([]byte(text)))
	if token, err := decoder.Token(); err != nil || token != json.Delim('{') {
		return nil, errors.New("is not a JSON object")
	}
	var entries []Entry
	for decoder.More() {
		name, err := decoder.Token()
		key, ok := name.(string)
		if err != nil || !ok {
			return nil, errors.New("is not a complete JSON object")
		}
		var raw json.RawMessage
		if err := decoder.Decode(&raw); err != nil {
			return nil, errors.New("is not a complete JSON object")
		}
		var value *string
		if json.Unmarshal(raw, &value) == nil && value != nil {
			entries = append(entries, Entry{key, *value})
		}
	}
	if _, err := decoder.Token(); err != nil {
		return nil, errors.New("is not a complete JSON object")
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("has text after its JSON object")
	}
	return entries, nil
}

// Packing says which member goes into which bundle.
type Packing struct {
	// Bundle is the number of each key's bundle, counted from 1.
	Bundle map[string]int
	// Bundles is the highest number that this packing or the earlier one uses.
	Bundles int
}

// Keys returns the sorted keys of each bundle, by its number.
func (p Packing) Keys() map[int][]string {
	keys := map[int][]string{}
	for _, key := range slices.Sorted(maps.Keys(p.Bundle)) {
		keys[p.Bundle[key]] = append(keys[p.Bundle[key]], key)
	}
	return keys
}

// Pack puts members, which are connection strings by key, into bundles. A member stays in its earlier bundle, so that
// one change rewrites one bundle; new members fill the free space in the order of their keys. Bundles in locked neither
// gain nor lose members. If nothing is locked and packing from scratch takes fewer bundles, everything is packed from
// scratch. The error names a member that is too large for any bundle.
func Pack(members map[string]string, earlier map[string]int, locked map[int]bool) (Packing, error) {
	return packWith(members, earlier, locked, nil)
}

// PackApart is [Pack] with the condition that no bundle both gains and loses members: those in losing, and those that
// have become too full, gain none. It never packs from scratch.
func PackApart(members map[string]string, earlier map[string]int, locked, losing map[int]bool) (Packing, error) {
	closed := map[int]bool{}
	maps.Copy(closed, losing)
	return packWith(members, earlier, locked, closed)
}

func packWith(members map[string]string, earlier map[string]int, locked, closed map[int]bool) (Packing, error) {
	sizes := make(map[string]int, len(members))
	for key, value := range members {
		sizes[key] = len(entry(key, value)) + 1 // the comma
		if sizes[key]+1 > Fill {
			return Packing{}, fmt.Errorf("the connection string of %s has %d bytes, more than a secret can hold", key,
				len(value))
		}
	}
	highest := 0
	for _, n := range earlier {
		highest = max(highest, n)
	}
	for n := range locked {
		highest = max(highest, n)
	}
	packed := pack(sizes, earlier, locked, closed)
	if closed == nil && len(locked) == 0 {
		if fresh := pack(sizes, nil, nil, nil); fresh.used() < packed.used() {
			packed = fresh
		}
	}
	packed.Bundles = max(packed.Bundles, highest)
	return packed, nil
}

// used is the number of bundles with a member.
func (p Packing) used() int {
	bundles := map[int]bool{}
	for _, n := range p.Bundle {
		bundles[n] = true
	}
	return len(bundles)
}

// pack keeps in place what still fits there, and puts the rest into the first bundle with enough space. If closed is
// not nil, bundles in it and bundles that a member leaves gain none; it adds the latter to closed.
func pack(sizes map[string]int, earlier map[string]int, locked, closed map[int]bool) Packing {
	p := Packing{Bundle: make(map[string]int, len(sizes))}
	taken := map[int]int{}
	var loose []string
	keys := slices.Sorted(maps.Keys(sizes))
	// Smaller ones first, so that the largest member leaves a bundle that has become too full.
	slices.SortStableFunc(keys, func(a, b string) int { return cmp.Compare(sizes[a], sizes[b]) })
	put := func(key string, n int) {
		p.Bundle[key], taken[n] = n, taken[n]+sizes[key]
		p.Bundles = max(p.Bundles, n)
	}
	for _, key := range keys {
		switch n := earlier[key]; {
		case n > 0 && (locked[n] || taken[n]+sizes[key]+1 <= Fill):
			put(key, n)
		default:
			loose = append(loose, key)
			if closed != nil {
				closed[n] = true
			}
		}
	}
	slices.Sort(loose)
	for _, key := range loose {
		n := 1
		for locked[n] || closed[n] || taken[n]+sizes[key]+1 > Fill {
			n++
		}
		put(key, n)
	}
	return p
}
