package githubtest

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"time"

	"golang.org/x/crypto/nacl/box"
)

// Scope names what has secrets and variables: an organization, a repository, or an environment of a repository.
type Scope struct{ Repository, Environment, Organization string }

// vault is what a scope has.
type vault struct {
	public, private *[32]byte
	keyID           string
	numericID       bool
	secrets         map[string]*secret // by name in upper case
	variables       map[string]*variable
	maxSecrets      int
	maxVariables    int
}

type secret struct {
	value            string
	created, updated time.Time
	visibility       string // of an organization's
	selected         []int64
}

type variable struct {
	value            string
	created, updated time.Time
	visibility       string
}

func newVault(numericID bool, maxSecrets, maxVariables int) *vault {
	v := &vault{
		numericID: numericID, secrets: map[string]*secret{}, variables: map[string]*variable{},
		maxSecrets: maxSecrets, maxVariables: maxVariables,
	}
	v.rotate()
	return v
}

// rotate replaces the vault's key.
func (v *vault) rotate() {
	var err error
	if v.public, v.private, err = box.GenerateKey(rand.Reader); err != nil {
		panic(err) // crypto/rand never fails
	}
	id, err := rand.Int(rand.Reader, big.NewInt(1e15))
	if err != nil {
		panic(err)
	}
	v.keyID = fmt.Sprintf("3%018d", id)
	if v.numericID {
		v.keyID = fmt.Sprintf("3%015d", id)
	}
}

// id returns the key's id as the API gives it: a string, or a number.
func (v *vault) id() any {
	if v.numericID {
		return json.Number(v.keyID)
	}
	return v.keyID
}

// maxValue is the longest value, in bytes.
const maxValue = 48 << 10

// open opens a sealed box.
func (v *vault) open(sealed string) (string, error) {
	raw, err := base64.StdEncoding.DecodeString(sealed)
	if err != nil {
		return "", errors.New("encrypted_value is not base64")
	}
	value, ok := box.OpenAnonymous(nil, raw, v.public, v.private)
	if !ok {
		return "", errors.New("encrypted_value does not open with the private key of key_id")
	}
	if len(value) > maxValue {
		return "", fmt.Errorf("the value has %d bytes, where 48 KB is the limit", len(value))
	}
	return string(value), nil
}

// badName returns what GitHub answers to a name that it rejects, or "". kind is Secret or Variable.
func badName(kind, name string) string {
	good := name != "" && (name[0] < '0' || name[0] > '9')
	for _, r := range name {
		good = good && (r == '_' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z')
	}
	switch {
	case !good:
		return kind + " names can only contain alphanumeric characters ([a-z], [A-Z], [0-9]) or underscores (_). " +
			"Spaces are not allowed. Must start with a letter ([a-z], [A-Z]) or underscores (_)."
	case strings.HasPrefix(strings.ToUpper(name), "GITHUB_"):
		return kind + " names must not start with GITHUB_."
	}
	return ""
}

// stamp returns the time as GitHub stores it, to the second.
func stamp() time.Time { return time.Now().UTC().Truncate(time.Second) }
