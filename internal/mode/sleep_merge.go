package mode

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/org/neon-tenants-action/internal/records"
	"github.com/org/neon-tenants-action/internal/report"
)

// sleepTitle is the title of the section about computes, or begins it in a merged report.
const sleepTitle = "Sleeping computes"

// MergeSleep replaces what the runs of a merged report say of their own tenants' computes by their sum.
func MergeSleep(r report.Run) report.Run {
	about := func(s report.Section) bool { return strings.HasPrefix(s.Title, sleepTitle) }
	at := slices.IndexFunc(r.Sections, about)
	if at < 0 {
		return r
	}
	whole := Sleep{Reasons: map[records.Reason]int{}}
	for i, m := range r.Merged {
		var d struct {
			Sleep *Sleep `json:"sleep"`
		}
		if r.Repeated(i) || json.Unmarshal(m.Detail, &d) != nil || d.Sleep == nil {
			continue
		}
		whole.addAll(*d.Sleep)
	}
	price, err := parsePrice(whole.Price)
	if whole.Price != "" && err != nil { // it was edited
		return r
	}
	r.Sections = slices.DeleteFunc(slices.Clone(r.Sections), about)
	r.Sections = slices.Insert(r.Sections, at, report.Section{Title: sleepTitle, Lines: whole.lines(price)})
	return r
}

// addAll adds what another run says. The price is that of the first that has one.
func (s *Sleep) addAll(other Sleep) {
	s.LeftAsleep += other.LeftAsleep
	s.Woken += other.Woken
	s.HoursSaved += other.HoursSaved
	s.HoursWoken += other.HoursWoken
	for reason, n := range other.Reasons {
		s.Reasons[reason] += n
	}
	if s.Price == "" {
		s.Price = other.Price
	}
}
