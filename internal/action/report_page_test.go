package action

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// page reads the page that a run left in the workspace; "" if there is none.
func (f *organisation) page(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(f.workspace, path))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	return string(text)
}

// shows checks that a page has each text once or more.
func shows(t *testing.T, page string, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if !strings.Contains(page, text) {
			t.Errorf("the page lacks %q: %.3000s", text, page)
		}
	}
}

func TestReportPage(t *testing.T) {
	f := newFleet(t, named("Acme", "Hooli </script>")...)
	query(t, f.projects[1], "create table users (by_hand text)")
	o := f.run(t, t.Context(), "report-html=pages/run.html")
	o.counts(t, 1, 0, 1, 0)
	o.says(t, "page: pages/run.html")
	shows(t, o.summary, "As a page to read, filter and sort: <code>pages/run.html</code>")
	shows(t, f.page(t, "pages/run.html"), "<title>migrate: 1 of 2 tenants failed (1 succeeded)</title>",
		`"state":"failed","name":"Hooli \u003c/script\u003e"`, `"state":"succeeded","name":"Acme"`, "version_after",
		"What to do:", "users")
	f.keepsPage(t, "pages/run.html")

	// No page is the default.
	o = f.run(t, t.Context(), "mode=list-tenants")
	if strings.Contains(o.log+o.summary, "page") {
		t.Errorf("there is a page: %s", o.log)
	}
}

// keepsPage checks that no connection string or password is in a page.
func (f *organisation) keepsPage(t *testing.T, path string) {
	t.Helper()
	o := f.run(t, t.Context(), "dry-run=true", "report-html="+path)
	o.reportText += f.page(t, path)
	o.keeps(t, f.projects)
}

// A page leads nowhere else than a report file does, and never takes its place. One that cannot be written fails the
// run, which is reported all the same.
func TestReportPageThatCannotBeWritten(t *testing.T) {
	f := newFleet(t, named("Acme")...)
	if err := os.Symlink(t.TempDir(), filepath.Join(f.workspace, "link")); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(f.workspace, "folder"), 0o755); err != nil {
		t.Fatal(err)
	}
	for path, says := range map[string]string{
		"../../x.html": `report-html: "../../x.html" cannot be written: it leads out of the workspace; name a path in the `,
		"./a/../same":  `report-html: "./a/../same" is the report-file too, and would replace it; name another file`,
		"link/x.html":  "write report-html: it leads out of the workspace",
		"folder":       "write report-html: ",
	} {
		f.ResetCalls()
		o := f.run(t, t.Context(), "mode=list-tenants", "report-html="+path, "report-file=same", "$GITHUB_ACTIONS=true")
		o.says(t, says)
		if o.err == nil || strings.Contains(o.log+o.summary, "page: ") || o.outputs["report-file"] != "same" {
			t.Errorf("%s: %v, %v", path, o.err, o.outputs)
		}
		if late := strings.HasPrefix(says, "write"); (f.Calls().Total > 0) != late {
			t.Errorf("%s: %d calls", path, f.Calls().Total)
		} else if late {
			o.says(t, "name a path in the workspace that can be written, or leave report-html empty to write none")
		}
	}
}

func TestReportPageOfAllShards(t *testing.T) {
	f := newFleet(t, named("Acme", "Globex", "Hooli", "Initech")...)
	for i := range 2 {
		f.run(t, t.Context(), fmt.Sprintf("shard=%d/2", i+1), fmt.Sprintf("report-file=reports/%d/r.json", i),
			fmt.Sprintf("report-html=%d.html", i))
		shows(t, f.page(t, fmt.Sprintf("%d.html", i)), fmt.Sprintf("shard %d/2: ", i+1))
	}
	o := f.merge(t, "report-html=all.html")
	o.counts(t, 4, 0, 0, 0)
	o.says(t, "page: all.html")
	shows(t, f.page(t, "all.html"), "<title>migrate: all 4 tenants done</title>", ">Merged from</h2>", "reports/0/r.json",
		"reports/1/r.json", `"name":"Acme"`, `"name":"Initech"`)
}

// A cancelled run leaves its page, and so does one that is refused.
func TestReportPageOfARunThatEndsEarly(t *testing.T) {
	f := newFleet(t, named("Acme")...)
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("cancelled by interrupt"))
	f.run(t, ctx, "report-html=run.html")
	shows(t, f.page(t, "run.html"), "The run failed</h2>", "cancelled by interrupt")
	f.run(t, t.Context(), "report-html=run.html", "concurrency=none")
	shows(t, f.page(t, "run.html"), "The run failed</h2>", "concurrency")
}
