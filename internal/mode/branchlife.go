package mode

import (
	"fmt"
	"time"

	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/input"
)

// ParseBranchLife parses how long a branch is to live before it expires.
func ParseBranchLife(text string) (time.Duration, error) {
	life, err := input.ParseDuration(text)
	if err != nil || life < time.Minute || life > fleet.LongestBranchLife {
		return 0, fmt.Errorf("%q is not a duration from 1m to 30d, the longest that Neon allows; write for example 12h or 7d",
			text)
	}
	// The runner's clock may be ahead of Neon's, which would refuse the last minute.
	return min(life, fleet.LongestBranchLife-time.Minute), nil
}
