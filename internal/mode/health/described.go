package health

import "github.com/org/neon-tenants-action/internal/fingerprint"

// What a report file holds of descriptions, in bytes. A schema of some thousand objects is within the first, and one
// that is not takes part in a comparison all the same; only how it differs is then not shown.
const (
	maxDescription  = 512 << 10
	maxDescriptions = 4 << 20
)

// addForReport adds what mode report needs to compare this run's tenants with those of other shards.
func (h *checker) addForReport(whole *Report, c compared) {
	if h.reference != nil {
		whole.Reference = &Reference{Name: h.reference.Name, ID: h.reference.ID, Key: h.reference.Key}
		if h.outside != nil {
			whole.Reference.Detail = *h.outside
		}
	}
	if !h.sharded {
		return
	}
	left := maxDescriptions
	for i := range whole.Schemas {
		s := &whole.Schemas[i]
		d, ok := c.described[s.Fingerprint]
		if n := size(d.objects); ok && d.err == nil && n <= min(maxDescription, left) {
			s.Objects, left = d.objects, left-n
		}
	}
}

func size(objects []fingerprint.Object) (n int) {
	for _, o := range objects {
		n += len(o.Kind) + len(o.Name) + len(o.Parent) + len(o.Definition)
	}
	return n
}
