package github

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/org/neon-tenants-action/internal/httpx"
)

func TestAcceptedPermissionsInWords(t *testing.T) {
	for header, want := range map[string]string{
		"":                                     "",
		"nonsense":                             "",
		"secrets=write":                        `"Secrets: write"`,
		"organization_secrets=write":           `"Organization secrets: write"`,
		"actions_variables=read":               `"Variables: read"`,
		"organization_actions_variables=write": `"Organization variables: write"`,
		"environments=write, secrets=read; administration=write": `"Environments: write" and "Secrets: read", ` +
			`or "Administration: write"`,
	} {
		if got := accepted(header); got != want {
			t.Errorf("%q: %s, want %s", header, got, want)
		}
	}
}

func TestClassify(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	for _, test := range []struct {
		name   string
		status int
		header map[string]string
		body   string
		want   httpx.Action
		asks   time.Duration // 0: it does not say
	}{
		{name: "created", status: 201, want: httpx.Return},
		{name: "permission", status: 403, body: `{"message":"Resource not accessible by personal access token"}`,
			want: httpx.Return},
		{name: "permission, with limits left", status: 403,
			header: map[string]string{"X-Ratelimit-Remaining": "4999", "X-Ratelimit-Reset": "1800000600"}, want: httpx.Return},
		{name: "primary", status: 403,
			header: map[string]string{"X-Ratelimit-Remaining": "0", "X-Ratelimit-Reset": "1800000600"},
			want:   httpx.Hold, asks: 601 * time.Second},
		{name: "primary as 429", status: 429,
			header: map[string]string{"X-Ratelimit-Remaining": "0", "X-Ratelimit-Reset": "1800000600"},
			want:   httpx.Hold, asks: 601 * time.Second},
		{name: "primary, by the server's clock", status: 429,
			header: map[string]string{"X-Ratelimit-Remaining": "0", "X-Ratelimit-Reset": "1800000600",
				"Date": time.Unix(1_800_000_500, 0).UTC().Format(http.TimeFormat)},
			want: httpx.Hold, asks: 101 * time.Second},
		{name: "Retry-After comes first", status: 403,
			header: map[string]string{"Retry-After": "7", "X-Ratelimit-Remaining": "0", "X-Ratelimit-Reset": "1800000600"},
			want:   httpx.Hold, asks: 7 * time.Second},
		{name: "secondary with its time", status: 429,
			header: map[string]string{"Retry-After": "33", "X-Ratelimit-Remaining": "4000"},
			want:   httpx.Hold, asks: 33 * time.Second},
		{name: "secondary by its message", status: 403,
			header: map[string]string{"X-Ratelimit-Remaining": "4000", "X-Ratelimit-Reset": "1800000600"},
			body:   `{"message":"You have exceeded a secondary rate limit."}`, want: httpx.Hold},
		{name: "secondary by its page", status: 403,
			body: `{"message":"no","documentation_url":` +
				`"https://docs.github.com/rest/overview/resources-in-the-rest-api#secondary-rate-limits"}`,
			want: httpx.Hold},
		{name: "abuse", status: 403, body: `{"message":"You have triggered an abuse detection mechanism."}`,
			want: httpx.Hold},
		{name: "429 of nothing", status: 429, want: httpx.Hold},
		{name: "a reset that is none", status: 429,
			header: map[string]string{"X-Ratelimit-Remaining": "0", "X-Ratelimit-Reset": "soon"}, want: httpx.Hold},
		{name: "a reset past", status: 429,
			header: map[string]string{"X-Ratelimit-Remaining": "0", "X-Ratelimit-Reset": "1700000000"}, want: httpx.Hold},
		{name: "trouble", status: 502, want: httpx.Retry},
		{name: "gone", status: 404, want: httpx.Return},
		{name: "invalid", status: 422, want: httpx.Return},
	} {
		t.Run(test.name, func(t *testing.T) {
			resp := &http.Response{StatusCode: test.status, Header: http.Header{}, Body: http.NoBody}
			for name, value := range test.header {
				resp.Header.Set(name, value)
			}
			if test.body != "" {
				resp.Body = body(test.body)
			}
			for _, method := range []string{http.MethodGet, http.MethodPut, http.MethodDelete, http.MethodPost} {
				if got := classify(method, resp, nil); got != test.want {
					t.Errorf("%s: %d, want %d", method, got, test.want)
				}
			}
			d, ok := retryAfter(resp, now)
			if d != test.asks || ok != (test.asks > 0) {
				t.Errorf("asks for %s, %v; want %s", d, ok, test.asks)
			}
		})
	}
}

func TestHoldIsAMinuteAtLeast(t *testing.T) {
	for n, least := range []time.Duration{time.Minute, 2 * time.Minute, 4 * time.Minute, 8 * time.Minute,
		16 * time.Minute, 16 * time.Minute} {
		if d := hold(n); d < least || d > least+least/10 {
			t.Errorf("hold %d is %s, want %s and up to a tenth more", n, d, least)
		}
	}
}

func TestWriteTime(t *testing.T) {
	for n, want := range map[int]time.Duration{
		0: 0, 1: 0, 80: 0, 81: time.Minute, 100: time.Minute, 161: 2 * time.Minute, 500: 6 * time.Minute,
		501: time.Hour, 1000: time.Hour + 6*time.Minute,
	} {
		if got := WriteTime(n); got != want {
			t.Errorf("%d writes: %s, want %s", n, got, want)
		}
	}
}

func TestScopeCheck(t *testing.T) {
	for _, s := range []Scope{
		{Repository: "acme/fleet"}, {Repository: "a/.github"},
		{Repository: "acme_corp/x", Environment: "prod/eu west"}, {Organization: "acme"},
		{Organization: "acme", Visibility: "selected", Repository: "acme/fleet"},
		{Organization: "acme", Visibility: "all", Repository: "ignored"},
	} {
		if err := s.Check(); err != nil {
			t.Errorf("%+v: %v", s, err)
		}
	}
	for _, s := range []Scope{
		{}, {Repository: "acme"}, {Repository: "acme/"}, {Repository: "/fleet"}, {Repository: "acme/.."},
		{Repository: "acme/fleet/x"}, {Repository: "acme/fl?eet"},
		{Repository: "acme/fleet", Environment: ".."}, {Organization: "a/b"},
		{Organization: "acme", Environment: "prod"}, {Organization: "acme", Visibility: "some"},
		{Organization: "acme", Visibility: "selected", Repository: "fleet"},
	} {
		if s.Check() == nil {
			t.Errorf("%+v is taken", s)
		}
	}
}

func TestCheckName(t *testing.T) {
	for _, name := range []string{"A", "_", "acme_database_url", "A1", "GITHUB", "MY_GITHUB_X"} {
		if err := CheckName(name); err != nil {
			t.Error(err)
		}
	}
	for _, name := range []string{"", "1A", "A-B", "A B", "Ä", "GITHUB_TOKEN", "github_x", "A/../B", "A\n"} {
		if CheckName(name) == nil {
			t.Errorf("%q is taken", name)
		}
	}
}

func FuzzAccepted(f *testing.F) {
	f.Add("secrets=write; a=b,c=d")
	f.Fuzz(func(_ *testing.T, header string) { accepted(header) })
}

func body(text string) io.ReadCloser { return io.NopCloser(strings.NewReader(text)) }
