package branch

import (
	"strings"
	"testing"
)

func TestCheckName(t *testing.T) {
	for name, refused := range map[string]bool{
		"a": false, "preview/pr-7": false, "dev/größe 日本": false, strings.Repeat("ä", 256): false,
		strings.Repeat("a", 257): true, "a\nb": true, "a\x7fb": true, "a\xffb": true,
	} {
		if err := checkName(name); (err != nil) != refused {
			t.Errorf("%q: %v", name, err)
		}
	}
}
