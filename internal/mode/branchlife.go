package mode

import (
	"fmt"
	"time"

	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/input"
	"github.com/org/neon-tenants-action/internal/words"
)

// BranchCost is what a run took from the platform of branches: what it made, such as "2 branches", and all its calls.
func BranchCost(made string, b fleet.Brancher) string {
	return fmt.Sprintf("%s made, %s of Neon's API", made, words.Count(int(b.APICalls()), "call", "calls"))
}

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
