package neon

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/org/neon-tenants-action/internal/httpx"
)

func TestErrors(t *testing.T) {
	const html = "<!DOCTYPE html><html><head><title>api | 524: A timeout occurred</title></head></html>"
	for _, test := range []struct {
		name   string
		answer func(w http.ResponseWriter)
		want   string
		remedy string
	}{
		{"Neon's own", func(w http.ResponseWriter) { fail(w, 404, "project not found") },
			"GET /projects/p%2F1: 404 Not Found: project not found (request id 58fd7378-0000)",
			"may have been deleted or renamed"},
		{"401", func(w http.ResponseWriter) { fail(w, 401, "supplied credentials do not pass authentication") },
			"GET /projects/p%2F1: 401 Unauthorized: supplied credentials do not pass authentication " +
				"(request id 58fd7378-0000)", "wrong, was revoked"},
		{"403", func(w http.ResponseWriter) { fail(w, 403, "") },
			"GET /projects/p%2F1: 403 Forbidden (request id 58fd7378-0000)", "lacks the permission"},
		{"Cloudflare's page", func(w http.ResponseWriter) {
			w.Header().Set("Content-Type", "text/html")
			w.WriteHeader(524)
			_, _ = w.Write([]byte(html))
		}, "GET /projects/p%2F1: 524 A Timeout Occurred; gave up after 2 attempts", "neonstatus.com"},
		{"nothing", func(w http.ResponseWriter) { w.Header().Set("X-Request-Id", "from-header"); w.WriteHeader(400) },
			"GET /projects/p%2F1: 400 Bad Request (request id from-header)", ""},
		{"lines", func(w http.ResponseWriter) { fail(w, 422, "branch\n::error::not  ready\x00 yet") },
			"GET /projects/p%2F1: 422 Unprocessable Entity: branch ::error::not ready yet (request id 58fd7378-0000)", ""},
		{"long", func(w http.ResponseWriter) { fail(w, 400, strings.Repeat("é", 400)) },
			"GET /projects/p%2F1: 400 Bad Request: " + strings.Repeat("é", 250) + "… (request id 58fd7378-0000)", ""},
		{"a page instead of JSON", func(w http.ResponseWriter) { _, _ = w.Write([]byte(html)) },
			"GET /projects/p%2F1: decode the answer: invalid character '<' looking for beginning of value",
			"did not come from the Neon API"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, client := newAPI(t, func(w http.ResponseWriter, _ *http.Request) { test.answer(w) })
			_, err := client.Project(t.Context(), "p/1")
			var e *Error
			if !errors.As(err, &e) || e.Error() != test.want {
				t.Fatalf("error is\n%v, want\n%v", e, test.want)
			}
			if !strings.Contains(e.Remedy(), test.remedy) || (test.remedy == "") != (e.Remedy() == "") {
				t.Errorf("remedy is %q, want one that says %q", e.Remedy(), test.remedy)
			}
			if !IsStatus(err, e.Status) || IsStatus(err, 999) {
				t.Error("IsStatus is wrong")
			}
		})
	}
}

func TestUnreachableAPI(t *testing.T) {
	server := httptest.NewServer(nil)
	server.Close()
	client := New(Options{BaseURL: server.URL, Key: "hunter2", HTTP: httpx.New(httpx.Options{Retries: 1}).HTTP()})
	_, err := client.ConnectionURI(t.Context(), "p-1", "", "db", "role", false)
	var e *Error
	if !errors.As(err, &e) || e.Status != 0 || !strings.Contains(e.Remedy(), "could not be reached") {
		t.Fatalf("error is %v", err)
	}
	for _, part := range []string{"GET /projects/p-1/connection_uri: ", "connection refused", "after 2 attempts"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("error %q lacks %q", err, part)
		}
	}
	if strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), "database_name") {
		t.Errorf("error %q says too much", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := client.Project(ctx, "p"); !errors.Is(err, context.Canceled) || errors.As(err, &e) && e.Remedy() != "" {
		t.Errorf("a cancelled call gives %v, remedy %q", err, e.Remedy())
	}
}
