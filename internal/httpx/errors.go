package httpx

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"unicode"
)

// Failed takes apart what http.Client.Do returned for a call that got no answer, for an error that names method and path itself:
// how many tries there were ("after 3 attempts"), "" for one; whether the call was sent at all; and what went wrong, without
// the URL that the text of err repeats. The call must have gone through a [Client].
func Failed(err error) (tries string, sent bool, cause error) {
	if outer := (*url.Error)(nil); errors.As(err, &outer) {
		err = outer.Err
	}
	inner := (*Error)(nil)
	if !errors.As(err, &inner) {
		return "", false, err
	}
	if inner.Attempts > 1 {
		tries = fmt.Sprintf("after %d attempts", inner.Attempts)
	}
	return tries, inner.Attempts > 0, inner.Err
}

// maxSentence bounds what a server's text may add to an error, in bytes.
const maxSentence = 500

// Sentence makes a server's text safe to stand in an error: one line, no control characters, not too long.
func Sentence(text string) string {
	text = strings.Join(strings.FieldsFunc(strings.ToValidUTF8(text, ""), func(r rune) bool {
		return unicode.IsSpace(r) || unicode.IsControl(r)
	}), " ")
	if len(text) > maxSentence {
		text = strings.ToValidUTF8(text[:maxSentence], "") + "…"
	}
	return text
}
