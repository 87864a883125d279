package report

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/org/neon-tenants-action/internal/fleet"
)

// migrationError is like an adapter's error: it has a remedy and a place.
type migrationError struct {
	message, remedy, file string
	line                  int
}

func (e *migrationError) Error() string           { return e.message }
func (e *migrationError) Remedy() string          { return e.remedy }
func (e *migrationError) Location() (string, int) { return e.file, e.line }

var began = time.Date(2026, 3, 14, 9, 26, 53, 589_000_000, time.UTC)

var companies = []string{
	"acme-corp", "globex", "initech", "umbrella", "hooli", "stark-industries", "wayne-enterprises", "wonka",
	"cyberdyne", "tyrell", "soylent", "massive-dynamic", "vandelay", "dunder-mifflin", "pied-piper", "oscorp",
	"aperture", "black-mesa", "gringotts", "monsters-inc",
}

func tenantNo(i int) fleet.Tenant {
	name := companies[i%len(companies)]
	if i >= len(companies) {
		name = fmt.Sprintf("%s-%d", name, i/len(companies)+1)
	}
	return fleet.Tenant{Name: name, ID: fmt.Sprintf("proj-%06d", i+1), Key: name}
}

func succeeded(t fleet.Tenant, note string, took time.Duration) fleet.Result {
	o := fleet.Outcome{Note: note}
	return fleet.Result{Tenant: t, State: fleet.Succeeded, Outcome: o, Started: began.Add(time.Second), Elapsed: took}
}

func unchanged(t fleet.Tenant, took time.Duration) fleet.Result {
	o := fleet.Outcome{Unchanged: true, Note: "nothing pending"}
	return fleet.Result{Tenant: t, State: fleet.Unchanged, Outcome: o, Started: began.Add(time.Second), Elapsed: took}
}

func failed(t fleet.Tenant, err error, took time.Duration) fleet.Result {
	return fleet.Result{Tenant: t, State: fleet.Failed, Err: err, Started: began.Add(time.Second), Elapsed: took}
}

func skipped(t fleet.Tenant, why string) fleet.Result {
	return fleet.Result{Tenant: t, State: fleet.Skipped, Err: errors.New(why)}
}

func missingRelation(fleet.Tenant) error {
	return fmt.Errorf("apply 20260312101500_add_invoices.sql: %w", &migrationError{
		`ERROR: relation "customers" does not exist (SQLSTATE 42P01)` + "\n" +
			"  12 | ALTER TABLE invoices ADD CONSTRAINT fk FOREIGN KEY (customer_id) REFERENCES customers (id);\n" +
			strings.Repeat(" ", 83) + "^",
		"the tenant is at 20260301090000; create the table in an earlier migration, " +
			"or make this one tolerate its absence, then run again",
		"db/migrations/20260312101500_add_invoices.sql", 12,
	})
}

func wakeTimeout(t fleet.Tenant) error {
	return fleet.WithRemedy(fmt.Errorf("connect to ep-%s-a1b2c3.eu-central-1.aws.neon.tech: "+
		"the compute did not start within 1m0s: dial tcp 10.1.2.3:5432: i/o timeout", t.Key),
		"look at the project "+t.ID+" in Neon's console: is it suspended by a quota?")
}

// five is a small team's run: one failure, one warning.
func five() Run {
	results := []fleet.Result{
		succeeded(tenantNo(0), "3 applied", 420*time.Millisecond),
		failed(tenantNo(1), missingRelation(tenantNo(1)), 1200*time.Millisecond),
		unchanged(tenantNo(2), 38*time.Millisecond),
		succeeded(tenantNo(3), "3 applied", 510*time.Millisecond),
		succeeded(tenantNo(4), "2 applied", 390*time.Millisecond),
	}
	results[4].Outcome.Warnings = []string{
		"20260228080000_backfill.sql was applied out of order: 20260301090000 was there before it",
	}
	results[0].Outcome.Detail = map[string]any{"before": "20260228080000", "after": "20260312101500",
		"applied": []string{"a.sql", "b.sql"}}
	return Run{ID: "14923871102", Mode: "migrate", Source: "neon", Started: began, Elapsed: 2340 * time.Millisecond,
		Results: results, ReportFile: "neon-tenants-report.json"}
}

// hundred is an ordinary release: most succeed, a few fail in different ways, some tenants are slow.
func hundred() Run {
	random := rand.New(rand.NewPCG(1, 2))
	r := Run{Mode: "migrate", Source: "neon", Started: began, Elapsed: 48 * time.Second,
		ReportFile: "neon-tenants-report.json",
		Notices:    []string{"3 connection strings named a pooled host; the direct one was used instead"}}
	for i := range 100 {
		t, took := tenantNo(i), time.Duration(200+random.IntN(700))*time.Millisecond
		switch {
		case i == 17 || i == 63:
			r.Results = append(r.Results, failed(t, missingRelation(t), took))
		case i == 40:
			r.Results = append(r.Results, failed(t, wakeTimeout(t), 61*time.Second))
		case i%9 == 4:
			r.Results = append(r.Results, unchanged(t, (took/4).Truncate(time.Millisecond)))
		case i%23 == 5:
			r.Results = append(r.Results, succeeded(t, "2 applied", time.Duration(6+random.IntN(30))*time.Second))
		default:
			r.Results = append(r.Results, succeeded(t, "2 applied", took))
		}
	}
	r.Results[8].Outcome.Warnings = []string{"its schema holds 1 version that no file has: 20251111111111"}
	return r
}

// fiveThousand is a bad day: one migration fails on hundreds of tenants until max-failures stops the run.
func fiveThousand() Run {
	random := rand.New(rand.NewPCG(3, 4))
	r := Run{Mode: "migrate", Source: "neon", Shard: "1/2", Started: began, Elapsed: 7*time.Minute + 12*time.Second,
		ReportFile: "neon-tenants-report.json",
		Warnings:   []string{"12 projects are archived and were left out"},
		Err: fleet.WithRemedy(
			errors.New("stopped: 447 tenants failed, which is more than max-failures allows (8%)"),
			"repair what the failures name and run again: tenants that are done are not touched twice")}
	for i := range 5000 {
		t, took := tenantNo(i), time.Duration(150+random.IntN(900))*time.Millisecond
		switch {
		case i >= 4600:
			r.Results = append(r.Results, skipped(t, "not started: max-failures was reached"))
		case i%11 == 3:
			r.Results = append(r.Results, failed(t, missingRelation(t), took))
		case i%160 == 21:
			r.Results = append(r.Results, failed(t, wakeTimeout(t), 60*time.Second+took))
		case i%7 == 2:
			r.Results = append(r.Results, unchanged(t, (took/5).Truncate(time.Millisecond)))
		case i%400 == 7:
			r.Results = append(r.Results, succeeded(t, "2 applied", time.Duration(20+random.IntN(200))*time.Second))
		default:
			r.Results = append(r.Results, succeeded(t, "2 applied", took))
		}
	}
	return r
}

// waves is a run that a failure in its second wave stops, and that leaves tenants to a later one.
func waves() Run {
	r := Run{Mode: "migrate", Source: "neon", Started: began, Elapsed: 11 * time.Minute,
		ReportFile: "neon-tenants-report.json",
		Warnings: []string{"waves (10%, 50%, 75%) leaves out 5 of 20 tenants, which this run skips: end the list with " +
			"100%, or have a later job work on the rest"},
		Waves: WavesOf([]fleet.WaveResult{
			{Wave: fleet.Wave{Size: 1, Canary: true}, Started: began.Add(time.Second), Elapsed: 420 * time.Millisecond},
			{Wave: fleet.Wave{Size: 1, Until: "10%"}, Started: began.Add(5 * time.Minute), Elapsed: time.Second},
			{Wave: fleet.Wave{Size: 8, Until: "50%"}, Started: began.Add(10 * time.Minute), Elapsed: 58 * time.Second},
			{Wave: fleet.Wave{Size: 5, Until: "75%"}},
		})}
	add := func(wave int, res fleet.Result) {
		res.Wave = wave
		r.Results = append(r.Results, res)
	}
	add(1, succeeded(tenantNo(0), "3 applied", 420*time.Millisecond))
	add(2, succeeded(tenantNo(1), "3 applied", time.Second))
	for i := 2; i < 9; i++ {
		add(3, unchanged(tenantNo(i), 40*time.Millisecond))
	}
	add(3, failed(tenantNo(9), missingRelation(tenantNo(9)), 58*time.Second))
	for i := 10; i < 15; i++ {
		add(4, skipped(tenantNo(i), "not started: wave 4 of 4 waits for wave 3, where 1 of 8 failed"))
	}
	for i := 15; i < 20; i++ {
		add(0, skipped(tenantNo(i), "not started: beyond the last wave of waves (75%)"))
	}
	return r
}

// sample reduces a large run to about 500 tenants, for tests that need no more.
func sample(r Run) Run {
	const few = 500
	step := max(1, len(r.Results)/few)
	var some []fleet.Result
	for i := 0; i < len(r.Results); i += step {
		some = append(some, r.Results[i])
	}
	r.Results = some
	return r
}

// hostileNames are tenant names that try to break out of wherever they are shown.
var hostileNames = []string{
	"|<img src=x>](http://e) @someone #1 `\"quotes\"; click…",
	"::error file=x::owned", "  ::set-output name=a::b", "##[group]x", "x ##[add-mask]y", "a\n::warning::forged",
	"a\r\n##[error]forged", "\x1b[31mred\x1b[0m", "\u202egnp.exe", "zero\u200bwidth", "bad utf8 \xff\xfe",
	"nul\x00byte", "\u200d::error::zwj", "\u3164::error::filler",
	"</details></td></tr></table><script>alert(1)</script>", "| a | b |", "\\| a \\\\| b", "```\n# heading\n```",
	"````", "<!-- ", "&lt;b&gt; &#64;x", ":smile:", "https://evil.example/?a=b&c", "www.evil.example",
	"a@evil.example", "GH-1", "org/repo#1", "deadbeefdeadbeef", "JIRA-12",
	"**bold** _em_ ~~del~~ $x$ $$y$$", "[^1] [x]: http://e",
	"- [ ] task", "1. list", "# heading", "---", "===", "    indented", "<details open><summary>x", "پرداخت‌ها",
	"👩‍💻 team ❤️", "Ünïcödé GmbH & Co. KG", "日本 商事", "%25 %0A%0D ::x", "\u2028::error::ls", "\u0085::error::nel", "", " ",
	"%%{init: {}}%%", "\"] bar [1]", "click A href \"javascript:alert(1)\"", "#35; #quot;",
}

// hostile is a run in which every text is hostile.
func hostile() Run {
	r := Run{Mode: "migrate", Source: "neon", Started: began, Elapsed: 90 * time.Second, ReportFile: "re|port`<b>.json",
		Warnings: hostileNames, Notices: hostileNames[:3],
		Err: fleet.WithRemedy(errors.New("it broke: "+hostileNames[0]+"\n::error::x\n# h"), hostileNames[4])}
	for i, name := range hostileNames {
		t := fleet.Tenant{Name: name, ID: name + "\x00id", Key: fmt.Sprint("k", i)}
		took := time.Duration(i*i) * 30 * time.Millisecond
		switch i % 4 {
		case 0:
			err := &migrationError{name + "\n```\n::error::x\n" + name, name, name, i}
			r.Results = append(r.Results, failed(t, err, took))
		case 1:
			r.Results = append(r.Results, succeeded(t, name, took))
		case 2:
			res := succeeded(t, "done", took)
			res.Outcome.Warnings = []string{name}
			r.Results = append(r.Results, res)
		default:
			r.Results = append(r.Results, skipped(t, name))
		}
	}
	return r
}

func calm() Run {
	r := Run{Mode: "migrate", Source: "neon", Started: began, Elapsed: 9 * time.Second,
		ReportFile: "neon-tenants-report.json"}
	for i := range 60 {
		r.Results = append(r.Results, unchanged(tenantNo(i), time.Duration(30+i)*time.Millisecond))
	}
	return r
}

// JSON is the report file's text.
func JSON(r Run) ([]byte, error) {
	var b bytes.Buffer
	err := WriteJSON(&b, r)
	return b.Bytes(), err
}
