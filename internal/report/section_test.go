package report

import (
	"strings"
	"testing"
)

// What a mode adds is shown in the summary and in the log, escaped for each.
func TestSections(t *testing.T) {
	r := Run{Mode: "migrate", Sections: []Section{{Title: "Orphans <b>", Lines: []string{"one\n::error::two", "<img src=x>"}}}}
	summary := Summary(r)
	if !strings.Contains(summary, "### Orphans") || strings.Contains(summary, "<b>") || strings.Contains(summary, "<img") {
		t.Errorf("the summary shows\n%s", summary)
	}
	log := Closing(r)
	if !strings.HasPrefix(log, "Orphans <b>\n  one") || strings.Contains(log, "\n::error") {
		t.Errorf("the log shows\n%s", log)
	}
}
