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
