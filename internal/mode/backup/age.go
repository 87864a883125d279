package backup

import (
	"errors"
	"fmt"
	"strings"

	"filippo.io/age"

	"github.com/org/neon-tenants-action/internal/backups"
	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/input"
	"github.com/org/neon-tenants-action/internal/pgdump"
	"github.com/org/neon-tenants-action/internal/words"
)

func parseRecipients(text string) ([]age.Recipient, error) {
	var recipients []age.Recipient
	for _, key := range input.List(text) {
		r, err := age.ParseX25519Recipient(key)
		switch {
		case err == nil:
		case strings.HasPrefix(strings.ToUpper(key), "AGE-SECRET-KEY-"): // no message repeats it
			return nil, errors.New("contains a private age key; give its public key, age1..., which age-keygen -y prints")
		default:
			return nil, fmt.Errorf("%q is not an age recipient; "+
				"give public keys such as age1..., separated by commas or line breaks", key)
		}
		recipients = append(recipients, r)
	}
	if len(recipients) == 0 && text != "" {
		return nil, errors.New("names no recipient, so the backups would not be encrypted; " +
			"give public keys such as age1..., or leave it out")
	}
	return recipients, nil
}

// recipientNames are the public keys of recipients.
func recipientNames(recipients []age.Recipient) []string {
	var names []string
	for _, r := range recipients {
		if named, ok := r.(fmt.Stringer); ok {
			names = append(names, named.String())
		}
	}
	return names
}

// readIdentities reads the private keys of age-identity; nil if there is none.
func readIdentities(in *input.Reader) []age.Identity {
	if in.String("age-identity") == "" {
		return nil
	}
	identities, err := parseIdentities(in.Secret("age-identity"))
	if err != nil {
		in.Mistake("age-identity", "%v", err)
	}
	return identities
}

// parseIdentities reads what age-keygen writes: secret keys, one a line, and comments. Its errors quote nothing: what
// is given in place of a secret key is often another secret.
func parseIdentities(text string) ([]age.Identity, error) {
	var lines []string
	for line := range strings.Lines(text) {
		lines = append(lines, strings.TrimSpace(line)) // YAML and pasting leave blanks
	}
	text = strings.Join(lines, "\n")
	identities, err := age.ParseIdentities(strings.NewReader(text))
	if err == nil {
		return identities, nil
	}
	has := func(sign string) bool { return strings.Contains(strings.ToUpper(text), strings.ToUpper(sign)) }
	switch {
	case has("age-encryption.org/"), has("BEGIN AGE ENCRYPTED FILE"):
		return nil, errors.New("is a key file that is protected by a passphrase, which nobody can enter here; " +
			"store what age -d prints of it")
	case has("PRIVATE KEY-----"), has("ssh-ed25519 "), has("ssh-rsa "):
		return nil, errors.New("is an SSH key, and backups are encrypted to age's own keys only; " +
			"give the secret key that begins with AGE-SECRET-KEY-1")
	case has("AGE-PLUGIN-"):
		return nil, errors.New("is the identity of an age plugin, and there are no plugins here; " +
			"give the secret key that begins with AGE-SECRET-KEY-1, or decrypt the object yourself")
	case has("AGE-SECRET-KEY-"):
		return nil, errors.New("holds an age key that is cut short or mistyped; " +
			"store the line that begins with AGE-SECRET-KEY-1 again as it is, in upper case")
	case has("age1"):
		return nil, errors.New("is a public key (age1...), which encrypts and cannot decrypt; " +
			"give the secret key that belongs to it and begins with AGE-SECRET-KEY-1")
	}
	return nil, errors.New("is not an age identity; give the secret key that begins with AGE-SECRET-KEY-1")
}

// errEncrypted is the error of an encrypted backup without an identity.
func errEncrypted(s source) error {
	return fleet.WithRemedy(fmt.Errorf("the backup %s is encrypted", s.key),
		"give age-identity, the secret key of one of the recipients, as a secret"+encryptedTo(s.manifest))
}

// explainKey adds to the error of a backup for another key whose keys decrypt it.
func explainKey(err error, m backups.Manifest) error {
	var bad *pgdump.BackupError
	if !errors.As(err, &bad) || bad.Cause != pgdump.OtherKey {
		return err
	}
	return fleet.WithRemedy(err, "give age-identity, the secret key of one of the backup's recipients, which the backup "+
		"run had in age-recipients; nothing was changed"+encryptedTo(m))
}

// encryptedTo names the recipients that the manifest records, if it does.
func encryptedTo(m backups.Manifest) string {
	const shown = 5
	if len(m.Recipients) == 0 {
		return ""
	}
	return "; it is encrypted to " + words.List(m.Recipients, shown)
}
