package report

import (
	"errors"
	"flag"
	"fmt"
	"html"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/org/neon-tenants-action/internal/fleet"
)

var update = flag.Bool("update", false, "write the golden files anew")

// golden compares got with a file in testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

var tenantRow = regexp.MustCompile(`^\| (❌|✅|➖|⏭️|⚠️) \| <code>`)

// abridge keeps the first three of each long run of table rows and the start of each long line, so that the golden file
// of a large summary stays readable.
func abridge(text string) string {
	const rows, width = 3, 400
	var out []string
	run := 0
	flush := func() {
		if run > rows {
			out = append(out, fmt.Sprintf("[%d more rows]", run-rows))
		}
		run = 0
	}
	for _, line := range strings.Split(text, "\n") {
		if tenantRow.MatchString(line) {
			if run++; run > rows {
				continue
			}
		} else {
			flush()
		}
		if len(line) > width {
			line = fmt.Sprintf("%s[%d more bytes]", line[:width], len(line)-width)
		}
		out = append(out, line)
	}
	return strings.Join(out, "\n")
}

// fixtures returns the runs of the golden files. No test may change them.
var fixtures = sync.OnceValue(func() map[string]Run {
	one := Run{Mode: "migrate", Source: "neon", Started: began, Elapsed: time.Second,
		Results: []fleet.Result{succeeded(tenantNo(0), "1 applied", 800*time.Millisecond)}}
	broken := Run{Mode: "backup", Source: "neon", Started: began, Elapsed: time.Second,
		Err: fleet.WithRemedy(errors.New("list projects: 401 Unauthorized"), "check neon-api-key")}
	cancelled := five()
	cancelled.DryRun, cancelled.Err = true, errors.New("cancelled by a signal")
	cancelled.SourceURL = "https://github.com/acme/app/blob/0123abc"
	cancelled.Results[2] = skipped(tenantNo(2), "not started: the run was cancelled")
	return map[string]Run{
		"five": five(), "hundred": hundred(), "five-thousand": fiveThousand(), "hostile": hostile(), "calm": calm(),
		"one": one, "broken": broken, "cancelled": cancelled, "waves": waves(),
		"empty": {Mode: "migrate", Started: began, Elapsed: time.Second},
	}
})

func TestDryRunNote(t *testing.T) {
	for want, made := range map[string]Made{
		"nothing was changed.":                                                             {},
		"no tenant was changed; 1 branch was made and deleted.":                            {Branches: 1},
		"no tenant was changed; 2 copies of databases were made and deleted.":              {Copies: 2},
		"no tenant was changed; 3 branches and copies of databases were made and deleted.": {Branches: 2, Copies: 1},
	} {
		want = "This was a dry run: " + want
		r := Run{Mode: "migrate", DryRun: true, Made: made}
		var page strings.Builder
		if err := HTML(&page, r); err != nil || !strings.Contains(page.String(), want) {
			t.Errorf("%v, or the page does not say %q", err, want)
		}
		if !strings.Contains(Summary(r), want) {
			t.Errorf("the summary does not say %q:\n%s", want, Summary(r))
		}
	}
}

func TestSummary(t *testing.T) {
	for name, run := range fixtures() {
		t.Run(name, func(t *testing.T) {
			text := Summary(run)
			if !utf8.ValidString(text) {
				t.Error("not valid UTF-8")
			}
			golden(t, "summary-"+name+".md", abridge(text))
			if again := Summary(run); again != text {
				t.Error("the same run gives another summary")
			}
		})
	}
}

// TestSummaryIsBounded gives the summary more than fits, in every part that can grow.
func TestSummaryIsBounded(t *testing.T) {
	long := strings.Repeat("<b>|`@x` \xff\u202e\n", 300)
	for name, text := range map[string]func(i int) string{
		"long":     func(i int) string { return fmt.Sprint(i, long) },
		"backtick": func(i int) string { return fmt.Sprint(i, strings.Repeat("`", 5000)) },
		"word":     func(i int) string { return fmt.Sprint(i, strings.Repeat("@", 5000)) },
		"lines":    func(i int) string { return fmt.Sprint(i, strings.Repeat("\n", 5000), "x") },
	} {
		t.Run(name, func(t *testing.T) {
			r := Run{Mode: text(0), Source: text(1), Shard: text(2), ReportFile: "report.json",
				Err: fleet.WithRemedy(errors.New(text(3)), text(4))}
			for i := range 700 {
				tenant := fleet.Tenant{Name: text(i), ID: text(i), Key: fmt.Sprint(i)}
				res := failed(tenant, &migrationError{text(i), text(i), text(i), i}, time.Duration(i)*time.Second)
				if i%3 == 0 {
					res = succeeded(res.Tenant, text(i), res.Elapsed)
					res.Outcome.Warnings = []string{text(i)}
				}
				r.Results = append(r.Results, res)
				if i < 1000 {
					r.Warnings, r.Notices = append(r.Warnings, text(i)), append(r.Notices, text(i))
				}
			}
			got := Summary(r)
			if len(got) > maxSummary || !utf8.ValidString(got) {
				t.Errorf("%d bytes, valid UTF-8: %v", len(got), utf8.ValidString(got))
			}
			if strings.Count(got, "<details>") != strings.Count(got, "</details>") {
				t.Error("a <details> is left open")
			}
			if !strings.HasPrefix(got, "## ❌ ") || !strings.HasSuffix(got, "<code>report.json</code>\n") ||
				!strings.Contains(got, "### Failures") {
				t.Errorf("it does not start and end as it should: %q … %q", got[:100], got[len(got)-100:])
			}
		})
	}
}

// TestSummaryCutsRows looks at the line in place of the rows that do not fit.
func TestSummaryCutsRows(t *testing.T) {
	r := Run{Mode: "migrate", ReportFile: "report.json"}
	const tenants = 8000
	for i := range tenants {
		tenant := fleet.Tenant{Name: fmt.Sprintf("customer %090d", i), ID: fmt.Sprint(i), Key: fmt.Sprint(i)}
		r.Results = append(r.Results, succeeded(tenant, "2 applied", time.Second))
	}
	got := Summary(r)
	shown := strings.Count(got, "| ✅ | <code>")
	want := fmt.Sprintf("\n%d more do not fit here: see <code>report.json</code>\n\n</details>\n", tenants-shown)
	if shown < 5000 || !strings.Contains(got, want) {
		t.Errorf("%d rows are shown; it ends %q, want %q", shown, got[len(got)-200:], want)
	}
}

var tags = regexp.MustCompile(`</?code>|<!-- -->`)

// FuzzMarkdown proves that a parser sees nothing in untrusted text but <code>, and that the text is shown as it is.
func FuzzMarkdown(f *testing.F) {
	for _, name := range hostileNames {
		f.Add(name)
	}
	special := regexp.MustCompile("[|<>*_`#\\\\\\[\\]~@$\\x00-\\x1f]|://|(?i:www)\\.[^<]")
	entity := regexp.MustCompile(`&#\d+;`)
	f.Fuzz(func(t *testing.T, text string) {
		for name, pair := range map[string][2]string{
			"code":  {code(text), visible(text)},
			"prose": {prose(text), strings.Join(strings.Fields(oneLine(text)), " ")},
		} {
			bare := tags.ReplaceAllString(pair[0], "")
			if got := html.UnescapeString(bare); got != pair[1] {
				t.Errorf("%s(%q) shows %q, want %q", name, text, got, pair[1])
			}
			if bad := special.FindString(strings.ReplaceAll(entity.ReplaceAllString(bare, "."), "&", "|")); bad != "" &&
				!strings.Contains(strings.ToLower(bad), "www") {
				t.Errorf("%s(%q) = %q holds %q", name, text, pair[0], bad)
			}
		}
		// A code block ends with its own fence, not earlier.
		block := strings.Split(strings.TrimSuffix(fenced(text), "\n"), "\n")
		fence := strings.TrimSuffix(block[0], "text")
		for i, line := range block[1:] {
			if strings.HasPrefix(strings.TrimLeft(line, " "), fence) != (i == len(block)-2) {
				t.Errorf("fenced(%q): line %d is %q, the fence %q", text, i, line, fence)
			}
		}
	})
}

func TestPlace(t *testing.T) {
	for _, tt := range []struct {
		file, base, want string
		line             int
	}{
		{"db/a.sql", "", "<code>db/a.sql&#58;3</code>", 3},
		{"db/a b#.sql", "https://h/b",
			`<a href="https://h/b/db/a%20b%23.sql#L3"><code>db/a b&#35;.sql&#58;3</code></a>`, 3},
		{"db/a.sql", "https://h/b/", `<a href="https://h/b/db/a.sql"><code>db/a.sql</code></a>`, 0},
		{"../a.sql", "https://h/b", "<code>../a.sql</code>", 0},
		{"/a.sql", "https://h/b", "<code>/a.sql</code>", 0},
		{`a"><script>.sql`, "https://h/b",
			`<a href="https://h/b/a%22%3E%3Cscript%3E.sql"><code>a&#34;&#62;&#60;script&#62;.sql</code></a>`, 0},
	} {
		if diff := cmp.Diff(tt.want, place(tt.file, tt.line, tt.base)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.file, diff)
		}
	}
}

func TestFailuresAreGrouped(t *testing.T) {
	var results []fleet.Result
	for i := range 4 {
		results = append(results, failed(tenantNo(i), wakeTimeout(tenantNo(i)), 0))
	}
	results = append(results, failed(tenantNo(5), missingRelation(tenantNo(5)), 0), failed(tenantNo(6), nil, 0))
	got := failures(results)
	if len(got) != 3 || len(got[0].results) != 4 {
		t.Fatalf("got %d groups: %+v", len(got), got)
	}
	want := "connect to ‹host›: the compute did not start within 1m0s: dial tcp ‹host›: i/o timeout"
	if diff := cmp.Diff(want, got[0].text); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got[0].remedy != "look at the project ‹tenant› in Neon's console: is it suspended by a quota?" ||
		got[1].line != 12 {
		t.Errorf("remedy %q, line %d", got[0].remedy, got[1].line)
	}
	for _, tt := range []struct{ text, word, want string }{
		{`database "acme"`, "acme", `database "‹tenant›"`},
		{"acmes acme_1 acme", "acme", "acmes acme_1 ‹tenant›"},
		{"ab ab", "ab", "ab ab"},
		{"x", "", "x"},
	} {
		if got := replaceWord(tt.text, tt.word, "‹tenant›"); got != tt.want {
			t.Errorf("replaceWord(%q, %q) = %q", tt.text, tt.word, got)
		}
	}
}
