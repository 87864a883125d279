package report

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/org/neon-tenants-action/internal/fleet"
)

func pageOf(t *testing.T, r Run) string {
	t.Helper()
	var b bytes.Buffer
	if err := HTML(&b, r); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// rowsOf reads the page's data as its script does.
func rowsOf(t *testing.T, page string) []htmlRow {
	t.Helper()
	_, data, _ := strings.Cut(page, `<script type="application/json" id="rows">`)
	data, _, _ = strings.Cut(data, "</script>")
	var rows []htmlRow
	if err := json.Unmarshal([]byte(data), &rows); err != nil {
		t.Fatal(err)
	}
	return rows
}

func TestHTML(t *testing.T) {
	hashes := regexp.MustCompile(`sha256-[^ ]+?=&#39;`) // TestHTMLPolicy has them
	rehearsal := rehearsed()
	rehearsal.Results = rehearsal.Results[10:20]
	for name, r := range map[string]Run{
		"five": fixtures()["cancelled"], "drifted": drifted(), "rehearsed": rehearsal, "merged": joinedShards(),
		"empty": fixtures()["empty"], "broken": fixtures()["broken"],
	} {
		page := pageOf(t, r)
		page = strings.NewReplacer(htmlStyle, "[style]", htmlScript, "[script]").Replace(page)
		page = hashes.ReplaceAllString(page, "sha256-[hash]&#39;")
		golden(t, "page-"+name+".html", page)
	}
}

// The policy allows what is in the page, as it is there.
func TestHTMLPolicy(t *testing.T) {
	page := pageOf(t, five())
	for _, part := range []string{
		"<style>" + htmlStyle + "</style>", "<script>" + htmlScript + "</script>",
		`<meta http-equiv="Content-Security-Policy" content="default-src &#39;none&#39;; style-src &#39;sha256-`,
	} {
		if strings.Count(page, part) != 1 {
			t.Errorf("the page has %.80q %d times", part, strings.Count(page, part))
		}
	}
	if bad := regexp.MustCompile(`unsafe|(?i) style=| on[a-z]+=|@import|url\(`).FindString(page); bad != "" {
		t.Errorf("the page has %q", bad)
	}
}

// FuzzHTML proves that no text becomes a tag, and that each is shown with every character visible.
func FuzzHTML(f *testing.F) {
	for _, name := range append(hostileNames, "</script><script>alert(1)</script>", "<!--<script>", "]]>", "'\"`${x}",
		"\u2028\u2029", "{{.}}", "&lt;/script&gt;", "javascript:alert(1)", "\u2066rtl\u2069", "</title><svg/onload=x>") {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, text string) {
		harmless, got := pageOf(t, everywhere("x")), pageOf(t, everywhere(text))
		if !utf8.ValidString(got) {
			t.Error("not valid UTF-8")
		}
		for _, mark := range []string{"<", ">"} {
			if n, want := strings.Count(got, mark), strings.Count(harmless, mark); n != want {
				t.Errorf("%q gives %d times %s, want %d", text, n, mark, want)
			}
		}
		row := rowsOf(t, got)[0]
		if want := displayName(fleet.Tenant{Name: around(text)}); row.Name != want {
			t.Errorf("the name is %q, want %q", row.Name, want)
		}
		for _, c := range got {
			if c != '\n' && visible(string(c)) != string(c) && !isJoiner(c) {
				t.Errorf("%q leaves %q", text, c)
			}
		}
	})
}

// around keeps a text's place in the page, whatever it holds.
func around(text string) string { return "n" + text + "n" }

// everywhere is a run in which every text is the given one.
func everywhere(text string) Run {
	text = around(text)
	tenant := fleet.Tenant{Name: text, ID: text + "1", Key: text}
	res := failed(tenant, &migrationError{text, text, text, 3}, time.Second)
	res.Outcome.Warnings = []string{text}
	res.Outcome.Detail = map[string]any{text: []any{text, 1, nil, map[string]string{"a": text}}}
	return Run{Mode: text, Source: text, ID: text, Shard: text, Started: began, ReportFile: text,
		SourceURL: "https://github.com/acme/app/blob/0123abc",
		Results:   []fleet.Result{res}, Warnings: []string{text}, Notices: []string{text},
		Err: fleet.WithRemedy(errors.New(text), text), Merged: []MergedRun{{File: text, Shard: text}},
		Sections: []Section{{Title: text, Lines: []string{text},
			Pie:  []Slice{{text, text, 20}, {text, "#123456", 20}},
			Bars: Bars{text, []Bar{{text, 2000}, {text, 1000}}},
			Blocks: []Block{{Title: text, Diff: []string{text}, Names: []string{text, text, text, text},
				SQL: []string{text}}}}}}
}

// Those that failed come first, and what does not fit is said.
func TestHTMLIsBounded(t *testing.T) {
	r := fiveThousand()
	var whole bytes.Buffer
	var tenants htmlTenants
	if err := tenants.writeRows(&whole, r, htmlRoom{64 << 20, 96 << 20}); err != nil || tenants.Cut != "" {
		t.Fatalf("%q, %v", tenants.Cut, err)
	}
	all := rowsOf(t, whole.String())
	if len(all) != 5000 || len(tenants.Rows) != htmlPlainRows || all[0].State != "failed" || all[4999].State != "skipped" {
		t.Errorf("%d rows, %d plain, from %s to %s", len(all), len(tenants.Rows), all[0].State, all[4999].State)
	}
	for name, c := range map[string]struct {
		room htmlRoom
		says string
	}{
		"short": {htmlRoom{10_000, whole.Len()},
			"The page has no room for the details of all tenants; those that failed come first: see neon-tenants-report.json"},
		"cut": {htmlRoom{10_000, 200_000}, " of 5000 tenants, those that failed first, and for the details"},
	} {
		var b bytes.Buffer
		var cut htmlTenants
		if err := cut.writeRows(&b, r, c.room); err != nil || !strings.Contains(cut.Cut, c.says) {
			t.Errorf("%s: says %q, %v", name, cut.Cut, err)
		}
		rows := rowsOf(t, b.String())
		if b.Len() > c.room.all+10_000 || rows[0].More == nil || rows[len(rows)-1].More != nil ||
			(len(rows) < 5000) != (name == "cut") {
			t.Errorf("%s: %d bytes, %d rows", name, b.Len(), len(rows))
		}
	}
}

func TestHTMLSaysWhyItIsNotWritten(t *testing.T) {
	full := errors.New("no space left on device")
	for after := 0; after < 3<<20; after = after*2 + 1 {
		w := &failingWriter{after, full}
		if err := HTML(w, hundred()); after < 10_000 && !errors.Is(err, full) {
			t.Errorf("after %d bytes: %v", after, err)
		}
	}
}

type failingWriter struct {
	left int
	err  error
}

func (w *failingWriter) Write(p []byte) (int, error) {
	if w.left -= len(p); w.left < 0 {
		return 0, w.err
	}
	return len(p), nil
}

var _ io.Writer = (*failingWriter)(nil)

// The summary and the log point to the page, with and without a report file.
func TestPagePointers(t *testing.T) {
	r := five()
	r.PageFile = "re|port.html"
	if got := Summary(r); !strings.HasSuffix(got, "All results, as JSON: <code>neon-tenants-report.json</code>\n\n"+
		"As a page to read, filter and sort: <code>re&#124;port.html</code>\n") {
		t.Errorf("the summary ends %q", got[len(got)-200:])
	}
	if got := Closing(r); !strings.HasSuffix(got, "\nreport: neon-tenants-report.json\npage: re|port.html") {
		t.Errorf("the log ends %q", got)
	}
	r.ReportFile = ""
	if got := Summary(r); strings.Contains(got, "as JSON") || !strings.Contains(got, "\n\nAs a page to read") {
		t.Errorf("the summary ends %q", got[len(got)-200:])
	}
}

func TestVisibleJSON(t *testing.T) {
	deep := strings.Repeat("[", 30) + strings.Repeat("]", 30)
	for in, want := range map[string]string{
		`{"b":1,"a":[true,null,1.50]}`:       `{"b":1,"a":[true,null,1.50]}`,
		`{"a\u202e":"\u0007x\ny"}`:           `{"a\\u202e":"\\x07x\ny"}`,
		`{"ü":"پرداخت‌ها","e":[],"f":{}}`:    `{"ü":"پرداخت‌ها","e":[],"f":{}}`,
		`{"a":"<\/script>\""}`:               `{"a":"\u003c/script\u003e\""}`,
		`{}`:                                 ``,
		deep:                                 ``,
		`{"ü":` + deep + `}`:                 ``,
		`{"a":12345678901234567890,"ü":1e5}`: `{"a":12345678901234567890,"ü":1e5}`,
	} {
		if diff := cmp.Diff(want, string(visibleJSON(json.RawMessage(in)))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", in, diff)
		}
	}
}

func BenchmarkHTML(b *testing.B) {
	for _, n := range []int{10_000, 100_000} {
		r := many(n)
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := HTML(io.Discard, r); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
