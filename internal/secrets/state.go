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

	"github.com/org/neon-tenants-action/internal/github"
)

// Print is a fingerprint: an HMAC, truncated to eight bytes so that the records of 1,000 tenants fit into a variable.
// Two values of a secret share one with a probability of 2^-64. Without the key it reveals nothing about the value.
type Print [8]byte

// Keyring makes fingerprints for one place that holds secrets, such as a repository, with a key for that place.
type Keyring struct{ key []byte }

// NewKeyring derives the key from key material and from the place, so that a state copied from another repository is
// not accepted. The material has to be a random secret: with one that can be guessed, such as a password, so can be
// every value that a state has a fingerprint of.
func NewKeyring(material, place string) *Keyring {
	key, err := hkdf.Key(sha256.New, []byte(material), nil, "neon-tenants-action state v1 "+place, sha256.Size)
	if err != nil {
		panic("hkdf: " + err.Error()) // only a length past 255 hashes fails
	}
	return &Keyring{key}
}

func (k *Keyring) sum(parts ...string) []byte {
	mac := hmac.New(sha256.New, k.key)
	for _, part := range parts { // each with its length, so that different lists of parts never give the same text
		_ = binary.Write(mac, binary.BigEndian, uint64(len(part)))
		_, _ = io.WriteString(mac, part)
	}
	return mac.Sum(nil)
}

// Name is the fingerprint of a name, in place of the name: more people can read the state than may know the tenants.
func (k *Keyring) Name(name string) Print { return Print(k.sum("name", name)) }

// Value is the fingerprint of a value under a name, so that two secrets with the same value have different ones.
func (k *Keyring) Value(name, value string) Print { return Print(k.sum("value", name, value)) }

// id identifies the key, to tell a state under another key from a damaged one.
func (k *Keyring) id() string { return base64.RawURLEncoding.EncodeToString(k.sum("id")[:6]) }

// Record is what is known about a secret that a sync wrote.
type Record struct {
	// Value is the fingerprint of the value that was written.
	Value Print
	// Updated is the time of the write according to GitHub, in Unix seconds. Zero means that only the write is known,
	// and not which value the secret holds.
	Updated int64
}

// Member is what is known about a tenant in a bundle.
type Member struct {
	Value  Print
	Bundle int
}

// State is what earlier syncs remembered, by the fingerprints of names and keys.
type State struct {
	// Run identifies the run that wrote the state, among all that write to the same variable.
	Run [8]byte
	// Secrets are the secrets that syncs have written and not deleted.
	Secrets map[Print]Record
	// Members are the tenants in bundles; nil if there were too many to remember.
	Members map[Print]Member
}

// Clone returns a deep copy.
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

// stateMark begins a state's text, and tells whoever finds the variable what it is.
const stateMark = "neon-tenants-action:v1"

// withMembers is the flag of an encoded state that has members.
const withMembers = 1

// Encode writes a state as a variable's value, authenticated so that any change to it is detected. If the members do
// not fit, all of them are left out; if not even the secrets fit, that is an error.
func (k *Keyring) Encode(s State) (string, error) {
	text := k.seal(encodeState(s))
	if len(text) > github.MaxValue && s.Members != nil {
		s.Members = nil
		text = k.seal(encodeState(s))
	}
	if len(text) > github.MaxValue {
		return "", fmt.Errorf("the state of %d secrets takes %d bytes, more than the %d of a variable",
			len(s.Secrets), len(text), github.MaxValue)
	}
	return text, nil
}

// seal adds to a payload what [Keyring.Decode] checks: the mark, the key's id and a MAC over all of it.
func (k *Keyring) seal(payload []byte) string {
	text := strings.Join([]string{stateMark, k.id(), base64.RawURLEncoding.EncodeToString(payload)}, ":")
	return text + ":" + base64.RawURLEncoding.EncodeToString(k.sum("state", text)[:16])
}

// Errors of a state that cannot be used, after which a sync writes everything again.
var (
	ErrOtherKey = errors.New("it was written with another Neon API key or, without one, another GitHub token, or for " +
		"another repository")
	ErrForeign = errors.New("it was not written by a sync, or was changed since")
)

// Decode reads a variable's value. Its error is [ErrOtherKey] or [ErrForeign].
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

// encodeState writes the run, a flag, and two lists in the order of their fingerprints: secrets as the fingerprints of
// name and value and a time, members as the fingerprints of key and value and a bundle's number.
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

// Current reports whether the secret still holds the value: a sync wrote exactly that value, and nobody has written
// since. listed is the time of the secret's last change as GitHub lists it.
func (s State) Current(k *Keyring, name, value string, listed time.Time) bool {
	r, ok := s.Secrets[k.Name(name)]
	return ok && r.Updated != 0 && r.Updated == listed.Unix() && r.Value == k.Value(name, value)
}
