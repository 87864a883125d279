package browsertest

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"sync"
	"testing"
)

// Page is a tab.
type Page struct {
	browser *Browser
	session string
	loaded  chan struct{} // receives once for each page that is loaded

	mu         sync.Mutex
	complaints []string
	requests   []string
}

// View is how a tab looks at its page.
type View struct {
	Width, Height int
	Dark          bool
	NoScripts     bool
}

type object = map[string]any

// Open opens an address in a new tab, and returns once the page is loaded.
func (b *Browser) Open(tb testing.TB, address string, v View) *Page {
	tb.Helper()
	var target struct{ TargetID string }
	b.ask(tb, "", "Target.createTarget", object{"url": "about:blank"}, &target)
	var attached struct{ SessionID string }
	b.ask(tb, "", "Target.attachToTarget", object{"targetId": target.TargetID, "flatten": true}, &attached)
	p := &Page{browser: b, session: attached.SessionID, loaded: make(chan struct{}, 10)}
	b.mu.Lock()
	b.pages[p.session] = p
	b.mu.Unlock()
	for _, domain := range []string{"Page", "Runtime", "Log", "Network"} {
		p.ask(tb, domain+".enable", object{}, nil)
	}
	p.Look(tb, v)
	p.ask(tb, "Emulation.setFocusEmulationEnabled", object{"enabled": true}, nil) // as the only tab has it
	p.ask(tb, "Page.navigate", object{"url": address}, nil)
	select {
	case <-p.loaded:
	case <-tb.Context().Done():
		tb.Fatalf("%s was not loaded", address)
	}
	return p
}

// Look changes how the tab looks at its page.
func (p *Page) Look(tb testing.TB, v View) {
	tb.Helper()
	scheme := "light"
	if v.Dark {
		scheme = "dark"
	}
	p.ask(tb, "Emulation.setEmulatedMedia", object{"features": []object{
		{"name": "prefers-color-scheme", "value": scheme}, {"name": "prefers-reduced-motion", "value": "reduce"},
	}}, nil)
	p.ask(tb, "Emulation.setDeviceMetricsOverride",
		object{"width": v.Width, "height": v.Height, "deviceScaleFactor": 1, "mobile": false}, nil)
	p.ask(tb, "Emulation.setScriptExecutionDisabled", object{"value": v.NoScripts}, nil)
}

// Eval evaluates an expression in the page and reads its value.
func Eval[T any](tb testing.TB, p *Page, expression string) T {
	tb.Helper()
	var answer struct {
		Result           struct{ Value T }
		ExceptionDetails *struct {
			Text      string
			Exception struct{ Description string }
		}
	}
	p.ask(tb, "Runtime.evaluate",
		object{"expression": expression, "returnByValue": true, "awaitPromise": true}, &answer)
	if e := answer.ExceptionDetails; e != nil {
		tb.Fatalf("%s: %s %s", expression, e.Text, e.Exception.Description)
	}
	return answer.Result.Value
}

// Click clicks on the middle of what a selector finds first.
func (p *Page) Click(tb testing.TB, selector string) {
	tb.Helper()
	at := Eval[[]float64](tb, p, fmt.Sprintf(`(() => {
		const found = document.querySelector(%q);
		found.scrollIntoView({block: "center"});
		const r = found.getBoundingClientRect();
		return [r.x + r.width / 2, r.y + r.height / 2];
	})()`, selector))
	for _, kind := range []string{"mousePressed", "mouseReleased"} {
		p.ask(tb, "Input.dispatchMouseEvent",
			object{"type": kind, "x": at[0], "y": at[1], "button": "left", "clickCount": 1}, nil)
	}
}

// Type enters a text where the focus is.
func (p *Page) Type(tb testing.TB, text string) {
	tb.Helper()
	p.ask(tb, "Input.insertText", object{"text": text}, nil)
}

// keys are those that tests press.
var keys = map[string]object{
	"Tab":   {"key": "Tab", "code": "Tab", "windowsVirtualKeyCode": 9},
	"Enter": {"key": "Enter", "code": "Enter", "windowsVirtualKeyCode": 13, "text": "\r"},
	" ":     {"key": " ", "code": "Space", "windowsVirtualKeyCode": 32, "text": " "},
}

// Press presses a key: "Tab", "Enter" or " ".
func (p *Page) Press(tb testing.TB, key string) {
	tb.Helper()
	for _, kind := range []string{"keyDown", "keyUp"} {
		event := object{"type": kind}
		for name, value := range keys[key] {
			event[name] = value
		}
		p.ask(tb, "Input.dispatchKeyEvent", event, nil)
	}
}

// Picture writes a PNG of the view, or of the whole page.
func (p *Page) Picture(tb testing.TB, path string, whole bool) {
	tb.Helper()
	var shot struct{ Data []byte }
	p.ask(tb, "Page.captureScreenshot", object{"format": "png", "captureBeyondViewport": whole}, &shot)
	if err := os.WriteFile(path, shot.Data, 0o600); err != nil {
		tb.Fatal(err)
	}
}

// Complaints are the errors and warnings that the browser's console shows, violations of the page's policy among them.
func (p *Page) Complaints() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.complaints)
}

// Requests are the addresses that the page asked for, its own first.
func (p *Page) Requests() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.requests)
}

func (p *Page) ask(tb testing.TB, method string, params, into any) {
	tb.Helper()
	p.browser.ask(tb, p.session, method, params, into)
}

// event keeps what tests ask for.
func (p *Page) event(m message) {
	var e struct {
		Request struct{ URL string }
	}
	_ = json.Unmarshal(m.Params, &e) // a part of it
	p.mu.Lock()
	defer p.mu.Unlock()
	switch m.Method {
	case "Page.loadEventFired":
		p.loaded <- struct{}{}
	case "Network.requestWillBeSent":
		p.requests = append(p.requests, e.Request.URL)
	case "Log.entryAdded", "Runtime.exceptionThrown", "Runtime.consoleAPICalled":
		p.complaints = append(p.complaints, m.Method+" "+string(m.Params))
	}
}
