package report

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/org/neon-tenants-action/internal/fleet"
)

func TestProgress(t *testing.T) {
	for _, actions := range []bool{true, false} {
		var b bytes.Buffer
		p := NewProgress(NewConsole(&b, actions), 12)
		done := func(r fleet.Result) {
			if r.State != fleet.Skipped {
				p.Started(r.Tenant)
			}
			p.Finished(r)
		}
		results := five().Results
		results[1].Log = []byte("connected\napplying 20260312101500_add_invoices.sql\n::error::from the database\n")
		for _, r := range results {
			done(r)
		}
		hostile := tenantNo(6)
		hostile.Name = "evil\n[12/12] all  good  1ms\n::error::x"
		done(failed(hostile, errors.New("a\n::error::b"), time.Second))
		done(succeeded(tenantNo(7), "", 3*time.Second))
		for i := range 5 {
			done(skipped(tenantNo(8+i), "not started: "+[]string{"a canary failed", "the run was cancelled"}[i%2]))
		}
		p.Stop()
		p.Stop()
		golden(t, fmt.Sprintf("progress-actions-%v.txt", actions), b.String())
	}
}

func TestManyReasonsToSkip(t *testing.T) {
	var b bytes.Buffer
	p := NewProgress(NewConsole(&b, false), 100)
	for i := range 100 {
		p.Finished(skipped(tenantNo(i), fmt.Sprint("reason ", i)))
	}
	p.Stop()
	lines := strings.Split(strings.TrimSpace(b.String()), "\n")
	if len(lines) != 11 || lines[0] != "1 tenant skipped: reason 0" ||
		lines[10] != "90 tenants not worked on for other reasons" {
		t.Errorf("got:\n%s", b.String())
	}
}

func TestHeartbeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b bytes.Buffer
		p := NewProgress(NewConsole(&b, true), 500)
		time.Sleep(time.Minute) // nothing has started: no heartbeat
		for i := range 5 {
			p.Started(tenantNo(i))
			time.Sleep(time.Second)
		}
		p.Finished(succeeded(tenantNo(1), "1 applied", 4*time.Second)) // at 5s
		time.Sleep(14 * time.Second)                                   // 19s: quiet for 14s
		p.Finished(succeeded(tenantNo(2), "1 applied", 17*time.Second))
		time.Sleep(31 * time.Second) // 50s: heartbeats at 34s and 49s
		for _, i := range []int{0, 3, 4} {
			p.Finished(succeeded(tenantNo(i), "1 applied", 50*time.Second))
		}
		time.Sleep(time.Hour) // nothing runs: no heartbeat
		p.Stop()
		want := `[  1/500] globex  1 applied  4s
[  2/500] initech  1 applied  17s
[  2/500] … nothing finished for 15s: 3 running, 495 waiting; slowest: acme-corp 34s, umbrella 31s, hooli 30s
[  2/500] … nothing finished for 30s: 3 running, 495 waiting; slowest: acme-corp 49s, umbrella 46s, hooli 45s
[  3/500] acme-corp  1 applied  50s
[  4/500] umbrella  1 applied  50s
[  5/500] hooli  1 applied  50s
`
		if diff := cmp.Diff(want, b.String()); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

func TestProgressConcurrently(t *testing.T) {
	const n = 500
	var b bytes.Buffer
	p := NewProgress(NewConsole(&b, true), n)
	p.Quiet = time.Millisecond
	var all sync.WaitGroup
	for w := range 10 {
		all.Go(func() {
			for i := w; i < n; i += 10 {
				p.Started(tenantNo(i))
				p.Finished(succeeded(tenantNo(i), "1 applied", time.Millisecond))
			}
		})
	}
	all.Wait()
	p.Stop()
	count := 0
	for _, line := range strings.Split(b.String(), "\n") {
		if strings.HasSuffix(line, "1.0ms") || strings.HasSuffix(line, "  1ms") {
			count++
			if want := fmt.Sprintf("[%3d/500] ", count); !strings.HasPrefix(line, want) {
				t.Fatalf("line %q, want it to begin with %q", line, want)
			}
		}
	}
	if count != n {
		t.Errorf("%d lines for %d tenants", count, n)
	}
}

func TestClosing(t *testing.T) {
	var b strings.Builder
	for _, name := range []string{"five", "hundred", "five-thousand", "calm", "one", "broken", "cancelled", "empty",
		"hostile"} {
		b.WriteString("--- " + name + "\n" + Closing(fixtures()[name]) + "\n")
	}
	golden(t, "closing.txt", b.String())
}
