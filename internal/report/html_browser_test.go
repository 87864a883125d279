package report

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/org/neon-tenants-action/internal/report/browsertest"
	"github.com/org/neon-tenants-action/internal/servertest"
)

// These tests look at the page in a real browser. With REPORT_PICTURES, a folder, they leave pictures there.

func TestBrowser(t *testing.T) {
	servertest.Long(t)
	b := browsertest.Start(t)
	for name, test := range map[string]func(*testing.T, *browsertest.Browser){
		"finds tenants":      browserFindsTenants,
		"sorts tenants":      browserSortsTenants,
		"unfolds a tenant":   browserUnfoldsATenant,
		"by keyboard":        browserByKeyboard,
		"shows text as text": browserShowsTextAsText,
		"contrast":           browserContrast,
		"on a small screen":  browserOnASmallScreen,
		"without scripts":    browserWithoutScripts,
	} {
		t.Run(name, func(t *testing.T) { test(t, b) })
	}
}

// opened writes a run's page and opens it. It must load nothing, and the browser must have nothing to say about it.
func opened(t *testing.T, b *browsertest.Browser, r Run, v browsertest.View) *browsertest.Page {
	t.Helper()
	var page bytes.Buffer
	if err := HTML(&page, r); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "page.html")
	if err := os.WriteFile(path, page.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	if v.Width == 0 {
		v.Width, v.Height = 1100, 1000
	}
	p := b.Open(t, "file://"+path, v)
	t.Cleanup(func() {
		if all := p.Complaints(); len(all) > 0 {
			t.Errorf("the browser says %s", strings.Join(all, "\n"))
		}
		if all := p.Requests(); len(all) != 1 {
			t.Errorf("the page made requests: %v", all)
		}
	})
	return p
}

// picture takes one for a person to look at.
func picture(t *testing.T, p *browsertest.Page, name string, whole bool) {
	t.Helper()
	if dir := os.Getenv("REPORT_PICTURES"); dir != "" {
		p.Picture(t, filepath.Join(dir, name+".png"), whole)
	}
}

// texts are those of what a selector finds.
func textsOf(t *testing.T, p *browsertest.Page, selector string) []string {
	t.Helper()
	return browsertest.Eval[[]string](t, p,
		fmt.Sprintf(`[...document.querySelectorAll(%q)].map((found) => found.textContent)`, selector))
}

func shows(t *testing.T, p *browsertest.Page, selector string, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, textsOf(t, p, selector)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", selector, diff)
	}
}

const (
	nameCells  = "#table tbody .name"
	shownCount = "#shown"
)

func browserFindsTenants(t *testing.T, b *browsertest.Browser) {
	p := opened(t, b, many(10_000), browsertest.View{})
	shows(t, p, shownCount, "10000 tenants, the first 200 shown")
	picture(t, p, "many", false)

	p.Click(t, "#search")
	p.Type(t, "WONKA-1")
	shows(t, p, shownCount, "110 of 10000 tenants")
	p.Type(t, "11")
	shows(t, p, shownCount, "1 of 10000 tenants")
	shows(t, p, nameCells, "wonka-111")
	picture(t, p, "many-found", false)
	p.Type(t, " nobody")
	shows(t, p, shownCount, "0 of 10000 tenants")
	shows(t, p, nameCells, []string{}...)
	for _, search := range [][2]string{ // what follows begins with the last one
		{"proj-000078", "1 of 10000 tenants"}, {"renamed", "1 of 10000 tenants"}, {"customers", "20 of 10000 tenants"},
		{" ", "10000 tenants, the first 200 shown"},
	} {
		p.Click(t, "#search")
		browsertest.Eval[any](t, p, `document.getElementById("search").select()`)
		p.Type(t, search[0])
		shows(t, p, shownCount, search[1])
	}

	// The word stays while the state is chosen, and the state while the word goes.
	p.Click(t, `#states [value="warned"]`)
	shows(t, p, shownCount, "40 of 10000 tenants")
	p.Click(t, "#search")
	p.Type(t, "acme")
	shows(t, p, shownCount, "20 of 10000 tenants")
	shows(t, p, `#states [aria-pressed="true"]`, "With warnings 40")
	p.Click(t, `#states [value=""]`)
	p.Click(t, `#states [value="failed"]`)
	shows(t, p, `#states [aria-pressed="true"]`, "Failed 20")
	if all := textsOf(t, p, "#table tbody .word"); slices.ContainsFunc(all, func(s string) bool { return s != "failed" }) {
		t.Errorf("states %v", all)
	}
}

func browserSortsTenants(t *testing.T, b *browsertest.Browser) {
	p := opened(t, b, many(450), browsertest.View{})
	first := func(selector string, n int) []string { return textsOf(t, p, selector)[:n] }
	sorted := func(want string) {
		t.Helper()
		got := browsertest.Eval[[]string](t, p, `[...document.querySelectorAll("#table thead [aria-sort]")]
			.map((head) => head.textContent + " " + head.ariaSort)`)
		if diff := cmp.Diff([]string{want}, got); diff != "" {
			t.Errorf("aria-sort (-want +got):\n%s", diff)
		}
	}
	sorted("State ascending")
	if got := first("#table tbody .word", 3); got[0] != "failed" || got[1] != "succeeded, warned" {
		t.Errorf("the states are %v", got)
	}
	p.Click(t, "#table th:nth-child(2) button")
	sorted("Tenant ascending")
	if diff := cmp.Diff([]string{"acme-corp", "acme-corp-2", "acme-corp-3"}, first(nameCells, 3)); diff != "" {
		t.Error(diff) // by number: -10 is not before -2
	}
	p.Press(t, "Enter") // the focus is where it was
	sorted("Tenant descending")
	if diff := cmp.Diff([]string{"wonka-23", "wonka-22", "wonka-21"}, first(nameCells, 3)); diff != "" {
		t.Error(diff)
	}
	p.Click(t, "#table th:nth-child(4) button")
	p.Press(t, " ")
	sorted("Took descending")
	if got := first("#table tbody .took", 1)[0]; got != "1s" {
		t.Errorf("the slowest took %s", got)
	}

	// All rows can be had, and the focus goes on to the new ones where the button is gone.
	for _, want := range []int{200, 400, 450} {
		if got := len(textsOf(t, p, nameCells)); got != want {
			t.Errorf("%d rows, want %d", got, want)
		}
		if want < 450 {
			p.Click(t, "#more")
		}
	}
	at := browsertest.Eval[string](t, p, `document.activeElement.textContent`)
	if want := textsOf(t, p, nameCells)[400]; at != want {
		t.Errorf("the focus is on %q, want %q", at, want)
	}
}

func browserUnfoldsATenant(t *testing.T, b *browsertest.Browser) {
	p := opened(t, b, rehearsed(), browsertest.View{})
	picture(t, p, "rehearsed", true)
	p.Click(t, "#table tbody button")
	shows(t, p, `[aria-expanded="true"]`, "black-mesa")
	shows(t, p, ".detail > td > dl > dt", "Began", "Error", "What to do", "Place")
	p.Click(t, `#table tbody tr.succeeded button`)
	shows(t, p, ".detail dl dl dt", "applied", "elapsed ms", "file", "version", "elapsed ms", "file", "version",
		"out of order", "version after", "version before")
	picture(t, p, "unfolded", false)
	p.Press(t, "Enter")
	p.Click(t, "#table tbody button")
	shows(t, p, ".detail", []string{}...)
}

// A reader with a keyboard reaches everything that can be done, in the order of the page, and sees where the focus is.
func browserByKeyboard(t *testing.T, b *browsertest.Browser) {
	p := opened(t, b, five(), browsertest.View{})
	var reached []string
	for range 24 {
		p.Press(t, "Tab")
		reached = append(reached, browsertest.Eval[string](t, p, `(() => {
			const at = document.activeElement;
			const style = getComputedStyle(at);
			const visible = at === document.body || style.outlineStyle !== "none" && at.getBoundingClientRect().width > 1;
			return (at.id || at.textContent).trim() + (visible ? "" : " unseen");
		})()`))
	}
	want := []string{"Skip to the tenants", "Failures", "Warnings", "Tenants", "search", "All 5", "Failed 1",
		"Succeeded 3", "Unchanged 1", "With warnings 1", "State", "Tenant", "Result", "Took", "globex", "hooli",
		"acme-corp", "umbrella", "initech"}
	if diff := cmp.Diff(want, reached[:len(want)]); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	p = opened(t, b, five(), browsertest.View{})
	p.Press(t, "Tab")
	p.Press(t, "Enter")
	if at := browsertest.Eval[string](t, p, `document.activeElement.id`); at != "tenants" {
		t.Errorf("the link past the beginning leads to %q", at)
	}
}

// Names that try to break out stay text, wherever they stand.
func browserShowsTextAsText(t *testing.T, b *browsertest.Browser) {
	r := hostile()
	p := opened(t, b, r, browsertest.View{})
	picture(t, p, "hostile", true)
	browsertest.Eval[any](t, p, `document.querySelectorAll("#table button[aria-expanded]").forEach((b) => b.click())`)
	if made := browsertest.Eval[[]string](t, p, `[...document.querySelectorAll("*")].map((e) => e.localName)
		.filter((name) => ["img", "script", "iframe", "style", "object", "embed", "base", "meta"].includes(name))`); len(
		made) != 8 {
		t.Errorf("the page has %v, want its 5 meta, a style and 2 scripts", made)
	}
	var want []string
	for res := range inOrder(r) {
		want = append(want, displayName(res.Tenant))
	}
	shows(t, p, nameCells, want...)
	if attributes := browsertest.Eval[[]string](t, p, `[...document.querySelectorAll("*")]
		.flatMap((e) => e.getAttributeNames()).filter((name) => name.startsWith("on") || name === "style")`); len(
		attributes) > 0 {
		t.Errorf("the page has attributes %v", attributes)
	}
}

// Text has a contrast of at least 4.5:1, in light and in dark.
func browserContrast(t *testing.T, b *browsertest.Browser) {
	for _, dark := range []bool{false, true} {
		name := map[bool]string{false: "light", true: "dark"}[dark]
		for run, r := range map[string]Run{"drifted": drifted(), "cancelled": fixtures()["cancelled"]} {
			p := opened(t, b, r, browsertest.View{Width: 1100, Height: 1000, Dark: dark})
			p.Click(t, "#table tbody button")
			picture(t, p, run+"-"+name, true)
			for _, low := range browsertest.Eval[[]string](t, p, contrasts) {
				t.Errorf("%s, %s: %s", run, name, low)
			}
		}
	}
}

// contrasts lists the texts that are hard to read, by WCAG's formula.
const contrasts = `(() => {
	const parse = (colour) => colour.match(/[\d.]+/g).map(Number);
	const light = ([r, g, b]) => [r, g, b].map((c) => c / 255)
		.map((c) => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
		.reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
	const back = (e) => {
		for (; e; e = e.parentElement) {
			const c = parse(getComputedStyle(e).backgroundColor);
			if (c.length < 4 || c[3] > 0) return c;
		}
	};
	const found = [];
	const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
	for (let node; node = walker.nextNode();) {
		const e = node.parentElement;
		if (node.textContent.trim() === "" || !e.checkVisibility()) continue;
		const [a, b] = [light(parse(getComputedStyle(e).color)), light(back(e))].sort((x, y) => y - x);
		const ratio = (a + 0.05) / (b + 0.05);
		if (ratio < 4.5) found.push(e.className + " " + node.textContent.slice(0, 40) + " " + ratio.toFixed(2));
	}
	return found;
})()`

func browserOnASmallScreen(t *testing.T, b *browsertest.Browser) {
	for name, r := range map[string]Run{"merged": joinedShards(), "rehearsed": rehearsed(), "hostile": hostile()} {
		p := opened(t, b, r, browsertest.View{Width: 390, Height: 844})
		picture(t, p, name+"-narrow", true)
		if wide := browsertest.Eval[int](t, p, `document.documentElement.scrollWidth`); wide > 390 {
			t.Errorf("%s: the page is %d wide", name, wide)
		}
	}
}

// Where no scripts run, the first tenants are there, and no control that would do nothing.
func browserWithoutScripts(t *testing.T, b *browsertest.Browser) {
	p := opened(t, b, many(1500), browsertest.View{Width: 1100, Height: 1000, NoScripts: true})
	picture(t, p, "plain", false)
	if n := len(textsOf(t, p, nameCells)); n != htmlPlainRows {
		t.Errorf("%d rows", n)
	}
	shows(t, p, shownCount, "The first 1000 of 1500 tenants. A browser that runs scripts shows all of them.")
	if n := browsertest.Eval[int](t, p, `[...document.querySelectorAll("button, input")]
		.filter((e) => e.checkVisibility()).length`); n != 0 {
		t.Errorf("%d controls can be seen", n)
	}
}
