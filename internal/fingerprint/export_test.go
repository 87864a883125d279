package fingerprint

// For tests.
var (
	Normalize      = normalize
	WithoutOptions = withoutOptions
	Again          = again[int]
	Catalogs       = catalogs
)

// Unread returns how many statements of common.sql are read by nothing, and how many there are.
func Unread() (unread, all int) {
	r := newReader(Options{}, nil)
	read, paragraphs := r.read(), Options{}.paragraphs(18)
	for _, p := range paragraphs {
		if read[p.title] == nil {
			unread++
		}
	}
	return unread, len(paragraphs)
}
