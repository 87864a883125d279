package report

import (
	"encoding/json"
	"fmt"
	"html/template"
	"io"
	"iter"

	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/words"
)

// Bounds of what the page holds about single tenants.
const (
	htmlPlainRows = 1000     // as HTML, for a browser without scripts
	htmlDetail    = 16 << 10 // bytes of a mode's object about one tenant
	htmlDeepest   = 20       // levels of such an object: no mode comes near, but a file to merge may hold anything
)

// htmlRoom is how many bytes of rows fit.
type htmlRoom struct {
	full int // of the rows that have everything about their tenant; those after them are short
	all  int
}

// warned is the state of a tenant that did not fail but has warnings, and the name of its icon.
const warned = "warned"

// htmlTenants is what the page shows of the tenants.
type htmlTenants struct {
	Total      int
	States     []htmlCount
	Rows       []htmlRow // the first
	Blank      htmlRow
	Shown, Cut string
	ReportFile string
	Script     template.JS
}

// htmlRow is a tenant as the page's script gets it.
type htmlRow struct {
	State  string `json:"state"`
	Warned bool   `json:"warned,omitempty"`
	Name   string `json:"name"`
	ID     string `json:"id,omitempty"` // unless the name is the id
	Result string `json:"result"`
	MS     int64  `json:"ms"`
	Took   string `json:"took"`
	// More is shown when a reader asks for it.
	More []htmlMore `json:"more,omitempty"`
}

// Icon marks the row.
func (r htmlRow) Icon() string {
	if r.Warned && r.State != string(fleet.Failed) {
		return warned
	}
	return r.State
}

// Word says what the icon shows.
func (r htmlRow) Word() string {
	if r.Warned {
		return r.State + ", " + warned
	}
	return r.State
}

// htmlMore is a label and what it stands for: a text, texts, or an object of the mode.
type htmlMore [2]any

// htmlStates are the filters.
func htmlStates(r Run) []htmlCount {
	counts := htmlTotals(r.Totals())
	n := 0
	for _, res := range r.Results {
		if len(res.Outcome.Warnings) > 0 {
			n++
		}
	}
	if n > 0 {
		counts = append(counts, htmlCount{warned, "With warnings", n})
	}
	return counts
}

// writeRows writes the rows as data, and keeps the first of them.
func (t *htmlTenants) writeRows(w io.Writer, r Run, room htmlRoom) error {
	if _, err := io.WriteString(w, `<script type="application/json" id="rows">[`); err != nil {
		return err
	}
	written, size := 0, 0
	for res := range inOrder(r) {
		row := newHTMLRow(res)
		if len(t.Rows) < htmlPlainRows {
			t.Rows = append(t.Rows, row)
		}
		if size < room.full {
			row.More = moreOf(res, r)
		}
		// Marshal writes < as \u003c: no text can end the script.
		data, err := json.Marshal(row)
		if err != nil {
			return fmt.Errorf("write tenant %q to the page: %w", res.Tenant.Name, err)
		}
		if size += len(data); size > room.all {
			break
		}
		if written++; written > 1 {
			data = append([]byte(",\n"), data...)
		}
		if _, err := w.Write(data); err != nil {
			return err
		}
	}
	t.note(written, size > room.full, r)
	_, err := io.WriteString(w, "]</script>\n")
	return err
}

// note says what is left out.
func (t *htmlTenants) note(written int, short bool, r Run) {
	all := len(r.Results)
	t.Shown = tenants(all)
	if len(t.Rows) < all {
		t.Shown = fmt.Sprintf("The first %d of %s. A browser that runs scripts shows all of them.", len(t.Rows), tenants(all))
	}
	switch {
	case written < all:
		t.Cut = fmt.Sprintf("The page has room for %d of %s, those that failed first, and for the details of the first "+
			"of these%s", written, tenants(all), inReport(r))
	case short:
		t.Cut = "The page has no room for the details of all tenants; those that failed come first" + inReport(r)
	}
}

// inOrder are the results in the order of the summary's table: those that failed first.
func inOrder(r Run) iter.Seq[*fleet.Result] {
	return func(yield func(*fleet.Result) bool) {
		for _, g := range tenantGroups(r) {
			for _, res := range g.results {
				if !yield(res) {
					return
				}
			}
		}
	}
}

func newHTMLRow(res *fleet.Result) htmlRow {
	row := htmlRow{
		State: string(res.State), Warned: len(res.Outcome.Warnings) > 0,
		Name: displayName(res.Tenant), Result: clipRunes(resultText(res), 200),
		MS: res.Elapsed.Milliseconds(), Took: words.Duration(res.Elapsed),
	}
	if id := oneLine(clip(res.Tenant.ID, 400)); id != row.Name {
		row.ID = clip(id, 100)
	}
	if res.State == fleet.Skipped {
		row.Took = ""
	}
	return row
}

// moreOf is everything about a tenant that its row has no room for.
func moreOf(res *fleet.Result, r Run) []htmlMore {
	var more []htmlMore
	add := func(label, text string) {
		if text != "" {
			more = append(more, htmlMore{label, text})
		}
	}
	if res.Tenant.Key != res.Tenant.Name {
		add("Key", oneLine(clip(res.Tenant.Key, 500)))
	}
	if res.Wave > 0 {
		add("Wave", fmt.Sprint(res.Wave))
	}
	add("Began", moment(res.Started))
	if res.Err != nil { // otherwise the note is the row's result
		add("Note", oneLine(clip(res.Outcome.Note, htmlText4)))
		label := "Error"
		if res.State == fleet.Skipped {
			label = "Why"
		}
		add(label, paragraphs(res.Err.Error()))
		add("What to do", paragraphs(fleet.Remedy(res.Err)))
		if file, line := fleet.Location(res.Err); file != "" {
			add("Place", visible(clip(position(file, line), 500)))
		}
	}
	if all := texts(res.Outcome.Warnings); len(all) > 0 {
		more = append(more, htmlMore{"Warnings", all})
	}
	switch detail, err := object(res.Outcome.Detail); {
	case err != nil, len(detail) > htmlDetail:
		add("Details", "too long for this page"+inReport(r))
	case len(detail) > 0:
		if shown := visibleJSON(detail); shown != nil {
			more = append(more, htmlMore{"Details", shown})
		}
	}
	return more
}
