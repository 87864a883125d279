package mode

import (
	"fmt"
	"time"

	"github.com/org/neon-tenants-action/internal/httpx"
	"github.com/org/neon-tenants-action/internal/words"
)

// Slowed returns what tells of slowdowns of an API's client: once in the run that there was one, and of each when it is
// over.
func Slowed(api string, notice, say func(text string)) func(httpx.Slowdown) {
	return func(s httpx.Slowdown) {
		switch {
		case !s.Over:
			notice(api + " refuses calls because there are too many (429): the run slows down by itself until it takes them " +
				"again, and waiting is no tenant's time")
			if s.Hold >= time.Second {
				say(fmt.Sprintf("waiting %s: %s asks for it", words.Duration(s.Hold.Round(time.Second)), api))
			}
		case s.PerMinute > 0:
			say(fmt.Sprintf("%s takes as many calls as before again, after %s in which the run made %d a minute or more", api,
				words.Duration(s.Lasted.Round(time.Second)), s.PerMinute))
		default:
			say(fmt.Sprintf("%s takes calls as before again, after %s", api, words.Duration(s.Lasted.Round(time.Second))))
		}
	}
}
