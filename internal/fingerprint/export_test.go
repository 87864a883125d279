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
	message := Options{}.common(r, 18)[1:] // without printing
	for _, s := range message {
		if s.row == nil {
			unread++
		}
	}
	return unread, len(message)
}
