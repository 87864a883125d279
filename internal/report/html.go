package report

import (
	"bufio"
	"crypto/sha256"
	_ "embed" // for the page's parts
	"encoding/base64"
	"html/template"
	"io"
	"sync"
)

var (
	//go:embed html/page.html
	htmlText string
	//go:embed html/page.css
	htmlStyle string
	//go:embed html/page.js
	htmlScript string
)

// htmlPage is parsed at its first use: most runs write no page.
var htmlPage = sync.OnceValue(func() *template.Template { return template.Must(template.New("").Parse(htmlText)) })

// htmlPolicy allows the page its own style and script and nothing else: neither another script, should a text ever
// become one, nor a request.
var htmlPolicy = sync.OnceValue(func() string {
	hash := func(text string) string {
		sum := sha256.Sum256([]byte(text))
		return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
	}
	return "default-src 'none'; style-src " + hash(htmlStyle) + "; script-src " + hash(htmlScript) +
		"; base-uri 'none'; form-action 'none'"
})

// HTML writes the run as one page for people, which needs no network and shows every text as text. The tenants are
// written as they are rendered, those that failed first: as data for the page's script, which finds, sorts and shows
// them, and, for a browser without scripts, the first of them as rows. What does not fit is left out with a
// pointer to the report file; 100,000 tenants as migrate reports them do.
func HTML(w io.Writer, r Run) error {
	b := bufio.NewWriterSize(w, 64<<10)
	if err := htmlPage().ExecuteTemplate(b, "run", newHTMLRun(r)); err != nil {
		return err
	}
	t := htmlTenants{
		Total: len(r.Results), States: htmlStates(r), ReportFile: visible(clip(r.ReportFile, 500)),
		Script: template.JS(htmlScript), //nolint:gosec // it is a file of this package
	}
	if err := t.writeRows(b, r, htmlRoom{full: 64 << 20, all: 96 << 20}); err != nil {
		return err
	}
	if err := htmlPage().ExecuteTemplate(b, "tenants", t); err != nil {
		return err
	}
	return b.Flush()
}
