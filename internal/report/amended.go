package report

import (
	"bytes"
	"strings"

	"github.com/org/neon-tenants-action/internal/fleet"
)

// Amended prints a line for each tenant that an amendment made fail or gave one more error: "amended: acme  failed: …".
// The lines follow the progress, which printed the results before they were amended and stays as it is. [Annotate] and
// [Summary] have the errors in full. before and after are what [fleet.Amend] took and returned.
func Amended(c *Console, before, after []fleet.Result) {
	var b bytes.Buffer
	for i, r := range after {
		if r.State != fleet.Failed {
			continue
		}
		text, verb := errorText(r.Err), "failed"
		if before[i].State == fleet.Failed {
			text, verb = strings.TrimLeft(strings.TrimPrefix(text, errorText(before[i].Err)), "; \n"), "also failed"
		}
		if text != "" {
			appendLine(&b, "amended: "+displayName(r.Tenant)+"  "+verb+": "+shorten(text))
		}
	}
	if b.Len() > 0 {
		c.write(&b)
	}
}
