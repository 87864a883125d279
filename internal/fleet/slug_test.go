package fleet

import (
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestSlug(t *testing.T) {
	for text, want := range map[string]string{
		"acme": "acme", "Acme Corp": "acme-corp", "ACME_Corp, Inc.": "acme-corp-inc", "--a--b--": "a-b",
		"a": "a", "007": "007", "": "", "-": "", "🚀": "", "a\nb": "a-b", "a\xffb": "a-b", "a🚀b": "a-b",
		"\u212a":                        "k", // the Kelvin sign, which is a k in lower case
		"tenant-morning-bread-81040908": "tenant-morning-bread-81040908",
	} {
		if got := Slug(text); got != want {
			t.Errorf("Slug(%q) = %q, want %q", text, got, want)
		}
	}
}

var slugForm = regexp.MustCompile(`^([a-z0-9]+(-[a-z0-9]+)*)?$`)

// What is stored under a key is found again only if a later release makes the same one.
func TestSlugOfOtherScripts(t *testing.T) {
	for text, want := range map[string]string{
		"Größe GmbH": "grosse-gmbh", "Müller": "muller", "Möller": "moller", "GRÖẞE": "grosse", "Café": "cafe",
		"Cafe\u0301": "cafe", "Łódź": "lodz", "Đà Nẵng": "da-nang", "İstanbul": "istanbul", "Ærø": "aero",
		"Hawaiʻi": "hawaii", "клиент": "klient", "Объект": "obekt", "Ελλάδα": "ellada", "日本": "ri-ben",
		"日本1": "ri-ben-1", "東京 Ltd": "dong-jing-ltd", "한국": "hangug", "שלום": "shlvm", "مرحبا": "mrhb", "ไทย": "aithy",
		"ａｃｍｅ": "acme", "𝓐cme": "acme", "ﬁn": "fin", "m²": "m2", "½ price": "1-2-price", "Tom’s © №5": "tom-s-5",
		"acme 𠀀 co": "acme-co", // which no table of the library has
	} {
		if got := Slug(text); got != want {
			t.Errorf("Slug(%q) = %q, want %q", text, got, want)
		}
	}
}

func TestIDKey(t *testing.T) {
	for id, want := range map[string]string{
		"": "", "tenant-morning-bread-81040908": "tenant-morning-bread-81040908", "acme-corp": "acme-corp",
	} {
		if got := IDKey(id); got != want {
			t.Errorf("IDKey(%q) = %q, want %q", id, got, want)
		}
	}
	owner := map[string]string{}
	for _, id := range []string{
		"acme-corp", "acme_corp", "Acme-Corp", "acme--corp", "acme corp", "-acme-corp", "клиент", "klient", "Клиент",
		"-", "_", " ", "🚀", "日本", "日 本", "\xff", "",
	} {
		key := IDKey(id)
		if other, taken := owner[key]; taken || !slugForm.MatchString(key) || IDKey(key) != key {
			t.Errorf("IDKey(%q) = %q, which is that of %q or no key", id, key, other)
		}
		owner[key] = id
	}
}

func FuzzSlug(f *testing.F) {
	for _, seed := range []string{"Acme Corp", "--", "日本-1", "\xff", "İı", "a\x00b"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		slug := Slug(text)
		if !slugForm.MatchString(slug) {
			t.Errorf("Slug(%q) = %q", text, slug)
		}
		if again := Slug(slug); again != slug {
			t.Errorf("Slug(%q) = %q, and of that %q", text, slug, again)
		}
		if Slug(" "+text+"_") != slug || utf8.ValidString(text) && Slug(strings.ToUpper(slug)) != slug {
			t.Errorf("Slug(%q) = %q depends on its surroundings or its case", text, slug)
		}
	})
}
