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
	for _, c := range text {
		for _, a := range inASCII(c) {
			if a == ' ' {
				gap = true
				continue
			}
			if gap && b.Len() > 0 {
				b.WriteByte('-')
			}
			gap = false
			b.WriteRune(a)
		}
	}
	return b.String()
}

// inASCII writes a character in small letters and digits. A blank stands for a gap between words, also for one beside
// the character, as in "ri " for 日.
func inASCII(c rune) string {
	text := string(c)
	if c > unicode.MaxASCII {
		text = unidecode.Unidecode(text)
		switch {
		case unicode.IsMark(c): // an accent beside its letter separates nothing
		case !unicode.IsLetter(c) && !unicode.IsNumber(c), text == "":
			return " "
		}
		// What the library writes for a letter that ASCII has none for, such as the soft sign ь, separates nothing either.
		text = strings.NewReplacer("'", "", "`", "", `"`, "").Replace(text)
	}
	return strings.Map(func(a rune) rune {
		switch {
		case a >= 'A' && a <= 'Z':
			return a + 'a' - 'A'
		case a >= 'a' && a <= 'z', a >= '0' && a <= '9':
			return a
		}
		return ' '
	}, text)
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
