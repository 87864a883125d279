package secrets

import (
	"bytes"
	"cmp"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// Print is a truncated HMAC. Eight bytes keep the records of 1,000 tenants within a variable, and two values of one
// secret have the same one once in 2^64; without the key it tells nothing of what was hashed.
type Print [8]byte

// Keyring makes fingerprints under a key of its own for one place where secrets lie.
type Keyring struct{ key []byte }

// NewKeyring derives the key from key material (the Neon API key) and the place, so that a state that was copied from
// another repository counts for nothing.
func NewKeyring(material, place string) *Keyring {
	key, err := hkdf.Key(sha256.New, []byte(material), nil, "neon-tenants-action state v1 "+place, sha256.Size)
	if err != nil {
		panic("hkdf: " + err.Error()) // only a length past 255 hashes fails
	}
	return &Keyring{key}
}

func (k *Keyring) sum(parts ...string) []byte {
	mac := hmac.New(sha256.New, k.key)
	for _, part := range parts { // each with its length, so that no two lists of parts are the same text
		_ = binary.Write(mac, binary.BigEndian, uint64(len(part)))
		_, _ = io.WriteString(mac, part)
	}
	return mac.Sum(nil)
}

// Name is a name's fingerprint: the state is readable to more people than the tenants' names may be.
func (k *Keyring) Name(name string) Print { return Print(k.sum("name", name)) }

// Value is the fingerprint of a value under a name: two secrets with one value don't show it.
func (k *Keyring) Value(name, value string) Print { return Print(k.sum("value", name, value)) }

// id tells a state under another key from a damaged one.
func (k *Keyring) id() string { return base64.RawURLEncoding.EncodeToString(k.sum("id")[:6]) }

// Record is what is known of a secret that a sync wrote.
type Record struct {
	// Value is the fingerprint of what was written.
	Value Print
	// Updated is when GitHub says that this happened, in Unix seconds. Zero: it is not known what the secret holds, only
	// that a sync wrote it.
	Updated int64
}

// Member is what is known of a tenant in a bundle.
type Member struct {
	Value  Print
	Bundle int
}

// State is what the syncs before this one remembered, by the fingerprints of names and keys.
type State struct {
	// Run tells the runs apart that write to one variable.
	Run [8]byte
	// Secrets are the secrets that were written and not deleted since.
	Secrets map[Print]Record
	// Members are the tenants in bundles; nil where they were too many to be remembered.
	Members map[Print]Member
}

// Clone copies a state.
func (s State) Clone() State {
	c := State{Run: s.Run, Secrets: make(map[Print]Record, len(s.Secrets))}
	for name, r := range s.Secrets {
		c.Secrets[name] = r
	}
	if s.Members != nil {
		c.Members = make(map[Print]Member, len(s.Members))
		for key, m := range s.Members {
			c.Members[key] = m
		}
	}
	return c
}

// stateMark begins a state's text, for whoever finds the variable.
const stateMark = "neon-tenants-action:v1"

// withMembers is the flag of a state that has its members.
const withMembers = 1

// Encode writes a state as a variable's value, in which no byte can be changed unnoticed. Members that would not fit are
// left out as a whole; it fails where even the secrets don't fit.
func (k *Keyring) Encode(s State) (string, error) {
	text := k.seal(encodeState(s))
	if len(text) > MaxValue && s.Members != nil {
		s.Members = nil
		text = k.seal(encodeState(s))
	}
	if len(text) > MaxValue {
		return "", fmt.Errorf("the state of %d secrets takes %d bytes, more than a variable's %d", len(s.Secrets), len(text), MaxValue)
	}
	return text, nil
}

func (k *Keyring) seal(payload []byte) string {
	text := strings.Join([]string{stateMark, k.id(), base64.RawURLEncoding.EncodeToString(payload)}, ":")
	return text + ":" + base64.RawURLEncoding.EncodeToString(k.sum("state", text)[:16])
}

// Errors of a state that cannot be used. Everything is written again then.
var (
	ErrOtherKey = errors.New("it was written with another Neon API key, or for another repository")
	ErrForeign  = errors.New("it is not what a sync wrote, or was changed since")
)

// Decode reads a variable's value.
func (k *Keyring) Decode(text string) (State, error) {
	text = strings.TrimSpace(text)
	rest, ok := strings.CutPrefix(text, stateMark+":")
	if !ok {
		return State{}, ErrForeign
	}
	id, rest, _ := strings.Cut(rest, ":")
	if id != k.id() {
		return State{}, ErrOtherKey
	}
	payload, mac, ok := strings.Cut(rest, ":")
	if !ok {
		return State{}, ErrForeign
	}
	sum, err1 := base64.RawURLEncoding.Strict().DecodeString(mac)
	data, err2 := base64.RawURLEncoding.Strict().DecodeString(payload)
	if err1 != nil || err2 != nil || !hmac.Equal(sum, k.sum("state", strings.TrimSuffix(text, ":"+mac))[:16]) {
		return State{}, ErrForeign
	}
	return decodeState(data)
}

// encodeState writes the run, a flag, and two lists in the order of their fingerprints: a secret is its name's, its value's
// and a time, a member its key's, its value's and a bundle.
func encodeState(s State) []byte {
	b := slices.Clone(s.Run[:])
	if s.Members != nil {
		b = append(b, withMembers)
	} else {
		b = append(b, 0)
	}
	b = binary.AppendUvarint(b, uint64(len(s.Secrets)))
	for _, name := range sorted(s.Secrets) {
		r := s.Secrets[name]
		b = append(append(b, name[:]...), r.Value[:]...)
		b = binary.BigEndian.AppendUint32(b, uint32(r.Updated))
	}
	b = binary.AppendUvarint(b, uint64(len(s.Members)))
	for _, key := range sorted(s.Members) {
		m := s.Members[key]
		b = append(append(b, key[:]...), m.Value[:]...)
		b = binary.AppendUvarint(b, uint64(m.Bundle))
	}
	return b
}

func sorted[T any](m map[Print]T) []Print {
	prints := make([]Print, 0, len(m))
	for p := range m {
		prints = append(prints, p)
	}
	slices.SortFunc(prints, func(a, b Print) int { return bytes.Compare(a[:], b[:]) })
	return prints
}

func decodeState(data []byte) (State, error) {
	r := bytes.NewReader(data)
	s := State{Secrets: map[Print]Record{}}
	var errs []error
	read := func(into []byte) {
		_, err := io.ReadFull(r, into)
		errs = append(errs, err)
	}
	number := func() uint64 {
		n, err := binary.ReadUvarint(r)
		errs = append(errs, err)
		return n
	}
	read(s.Run[:])
	flag := make([]byte, 1)
	read(flag)
	if flag[0] == withMembers {
		s.Members = map[Print]Member{}
	}
	for range min(number(), uint64(len(data))) {
		var name Print
		var rec Record
		var updated [4]byte
		read(name[:])
		read(rec.Value[:])
		read(updated[:])
		rec.Updated = int64(binary.BigEndian.Uint32(updated[:]))
		s.Secrets[name] = rec
	}
	for range min(number(), uint64(len(data))) {
		var key Print
		var m Member
		read(key[:])
		read(m.Value[:])
		m.Bundle = int(min(number(), 1<<20))
		if s.Members != nil {
			s.Members[key] = m
		}
	}
	if cmp.Or(errs...) != nil || r.Len() > 0 {
		return State{}, ErrForeign
	}
	return s, nil
}

// Current reports whether the secret of that name, which GitHub lists with this time of its last change, still holds the
// value: a sync wrote that very value, and nobody has written since.
func (s State) Current(k *Keyring, name, value string, listed time.Time) bool {
	r, ok := s.Secrets[k.Name(name)]
	return ok && r.Updated != 0 && r.Updated == listed.Unix() && r.Value == k.Value(name, value)
}
