package neontest

import (
	"encoding/json"
	"net/http"
	"time"
)

// maxLife is how far ahead a branch may expire.
const maxLife = 30 * 24 * time.Hour

// expiry is when a branch ends by itself.
type expiry struct {
	expires *time.Time    // nil: never
	life    time.Duration // from when this was set until then; a reset starts it again
}

func (e *expiry) expired(now time.Time) bool { return e.expires != nil && !e.expires.After(now) }

// restart starts the life of a branch that was reset again.
func (e *expiry) restart(now time.Time) {
	if e.expires != nil {
		end := now.Add(e.life).UTC().Truncate(time.Second)
		e.expires = &end
	}
}

// readExpiry reads when the branch is to expire: a time in JSON, or null for never.
func (b *branch) readExpiry(in json.RawMessage) (expiry, error) {
	var at *time.Time
	if err := json.Unmarshal(in, &at); err != nil {
		return expiry{}, refuse(http.StatusBadRequest, "expires_at must be a time as in RFC 3339")
	}
	if at == nil {
		return expiry{}, nil
	}
	now := b.project.clock.now()
	end := at.UTC().Truncate(time.Second)
	var why string
	switch {
	case !end.After(now):
		why = "expires_at must be in the future"
	case end.After(now.Add(maxLife)):
		why = "expires_at must be within 30 days"
	case b.isDefault:
		why = "the default branch can't expire"
	case len(b.children()) > 0:
		why = "a branch that has children can't expire"
	default:
		return expiry{&end, end.Sub(now)}, nil
	}
	return expiry{}, refuse(http.StatusUnprocessableEntity, "%s", why)
}
