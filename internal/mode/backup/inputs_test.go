package backup

import (
	"strings"
	"testing"

	"filippo.io/age"
)

// A private key that is given by mistake is refused without being repeated.
func TestPrivateKeyAmongRecipients(t *testing.T) {
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	public, private := identity.Recipient().String(), identity.String()
	for _, key := range []string{private, strings.ToLower(private), private[:30]} {
		_, err := parseRecipients(public + "," + key)
		if err == nil || !strings.Contains(err.Error(), "private") {
			t.Errorf("got %v", err)
		} else if strings.Contains(strings.ToUpper(err.Error()), private[:30]) {
			t.Error("the message repeats the key")
		}
	}
	if got, err := parseRecipients(public); err != nil || len(got) != 1 {
		t.Errorf("the public key: got %v, %v", got, err)
	}
}

// What is given in place of a secret key is told apart, and never repeated.
func TestWhatIsNoIdentity(t *testing.T) {
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	key := identity.String()
	for name, c := range map[string]struct{ text, want string }{
		"a public key":     {identity.Recipient().String(), "is a public key"},
		"a protected file": {"age-encryption.org/v1\n-> scrypt SALT 18\nhush\n", "protected by a passphrase"},
		"an armored file":  {"-----BEGIN AGE ENCRYPTED FILE-----\nhush\n", "protected by a passphrase"},
		"a private SSH key": {"-----BEGIN OPENSSH PRIVATE KEY-----\nhush\n-----END OPENSSH PRIVATE KEY-----",
			"is an SSH key"},
		"a public SSH key": {"ssh-ed25519 hush me@here", "is an SSH key"},
		"a plugin's":       {"AGE-PLUGIN-YUBIKEY-1HUSH", "the identity of an age plugin"},
		"cut short":        {key[:40], "cut short or mistyped"},
		"mistyped":         {key[:30] + "!" + key[31:], "cut short or mistyped"},
		"in lower case":    {strings.ToLower(key), "in upper case"},
		"only comments":    {"# created: hush", "is not an age identity"},
		"a file's name":    {"hush.txt", "is not an age identity"},
		"of age-keygen": {"# created: 2026-01-01T00:00:00Z\n# public key: " + identity.Recipient().String() + "\n" +
			key + "\n", ""},
		"with blanks around it": {"  " + key + " \r\n", ""},
	} {
		got, err := parseIdentities(c.text)
		switch {
		case c.want == "" && (err != nil || len(got) != 1):
			t.Errorf("%s: %v, %v", name, got, err)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: %v, want %s", name, err, c.want)
		case err != nil && (strings.Contains(err.Error(), "hush") ||
			strings.Contains(strings.ToUpper(err.Error()), key[20:35])):
			t.Errorf("%s: the message repeats what was given: %v", name, err)
		}
	}
}
