package pgdump

import (
	"bytes"
	"strings"
	"testing"
)

// A stored backup may contain anything where its versions should be.
func FuzzServerVersion(f *testing.F) {
	f.Add([]byte("PGDMP\x01\x0e\x00\x04\x08\x01\x00\x01\x00\x00\x00"))
	f.Add([]byte("PGDMP\x01\x0f\x00\xff\x08\x01\x01"))
	f.Add([]byte("--\n-- x\n\n-- Dumped from database version 17.6 (Debian)\n"))
	f.Fuzz(func(t *testing.T, head []byte) {
		for _, format := range []Format{Plain, Custom} {
			if version := serverVersion(format, head); strings.ContainsAny(version, " \n") && format == Plain {
				t.Errorf("%q", version)
			}
		}
	})
}

// However the SQL is split into writes, all of it is sent, except for the dump's own lock on psql's commands.
func FuzzScript(f *testing.F) {
	f.Add("--\n-- PostgreSQL database dump\n--\n\n\\restrict abC1\n\n", "select 1;", "\\unrestrict abC1\n", 7)
	f.Add("", strings.Repeat("x\n", 5000), "", 4096)
	f.Add("\\restrict a\n", "\\unrestrict b\n", "\n", 1)
	f.Fuzz(func(t *testing.T, head, body, tail string, size int) {
		sql := head + body + "\n" + endMarker + "\n\n" + tail
		var out bytes.Buffer
		s := &script{w: &out, restrict: true, key: "KEY"}
		if err := s.begin("begin;\n"); err != nil {
			t.Fatal(err)
		}
		size = 1 + (size&0x7fffffff)%10000
		for rest := sql; rest != ""; rest = rest[min(size, len(rest)):] {
			if err := s.write([]byte(rest[:min(size, len(rest))])); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.start(); err != nil {
			t.Fatal(err)
		}
		if err := s.finish(); err != nil {
			return // refused
		}
		want := sql
		if s.token != "" {
			want = strings.Replace(strings.Replace(want, `\restrict `+s.token, "", 1), `\unrestrict `+s.token, "", 1)
		}
		got := strings.TrimPrefix(out.String(), "\\restrict KEY\nbegin;\n")
		if strings.Join(strings.Fields(got), " ") != strings.Join(strings.Fields(want), " ") {
			t.Errorf("%q became %q", sql, got)
		}
	})
}

func TestRestricts(t *testing.T) {
	for version, want := range map[string]bool{
		"14.18": false, "14.19": true, "15.13": false, "15.18": true, "16.10": true, "17.5": false, "17.6": true,
		"18.0": true, "18beta1": true, "19devel": true, "12.22": false, "": false,
	} {
		if restricts(version) != want {
			t.Errorf("%s: got %v", version, !want)
		}
	}
}
