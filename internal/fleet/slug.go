package fleet

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"unicode"

	"github.com/mozillazg/go-unidecode"
)

// Slug makes a key from a name: ASCII letters in lower case and digits. Letters of other scripts and accents are
// written in ASCII, as far as that is known; every run of other characters becomes one hyphen, and there is none at
// either end. Keys name what is stored, so what a text gives must not change between releases, the library's included.
func Slug(text string) string {
	var b strings.Builder
	gap := false
	add := func(a rune) {
		switch a = smallWord(a); {
		case a == ' ':
			gap = true
			return
		case gap && b.Len() > 0:
			b.WriteByte('-')
		}
		gap = false
		b.WriteRune(a)
	}
	for _, c := range text {
		if c <= unicode.MaxASCII {
			add(c)
			continue
		}
		for _, a := range inASCII(c) {
			add(a)
		}
	}
	return b.String()
}

// inASCII writes a character beyond ASCII in ASCII. A blank stands for a gap between words, also for one beside the
// character, as in "ri " for 日.
func inASCII(c rune) string {
	text := unidecode.Unidecode(string(c))
	switch {
	case unicode.IsMark(c): // an accent beside its letter separates nothing
	case !unicode.IsLetter(c) && !unicode.IsNumber(c), text == "":
		return " "
	}
	// What the library writes for a letter that ASCII has none for, such as the soft sign ь, separates nothing either.
	return strings.NewReplacer("'", "", "`", "", `"`, "").Replace(text)
}

// smallWord is the character in lower case if it is a letter or a digit of ASCII, and else a blank.
func smallWord(a rune) rune {
	switch {
	case a >= 'A' && a <= 'Z':
		return a + 'a' - 'A'
	case a >= 'a' && a <= 'z', a >= '0' && a <= '9':
		return a
	}
	return ' '
}

// IDKey makes a key from an id: the id itself if it is a slug, as Neon's ids are. Of any other id, such as the name of
// a schema, the slug alone could be another's too (acme_corp and acme-corp), so that a hash of the id follows.
func IDKey(id string) string {
	slug := Slug(id)
	if slug == id {
		return slug
	}
	sum := sha256.Sum256([]byte(id))
	return strings.TrimPrefix(slug+"-"+hex.EncodeToString(sum[:4]), "-")
}
