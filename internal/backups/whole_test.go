package backups_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/org/neon-tenants-action/internal/backups"
)

func TestLeftOut(t *testing.T) {
	for args, want := range map[string]string{
		"":                                   "",
		"--no-comments -v":                   "",
		"-Ox -E UTF8 --role=reader":          "",
		"-EUTF8 --role reader --inserts":     "",
		"--lock-wait-timeout 5000 -b":        "",
		"--schema-only":                      "--schema-only",
		"--schema-o":                         "--schema-o", // an abbreviation, as pg_dump takes it
		"-s":                                 "-s",
		"-vs":                                "-vs",
		"-a":                                 "-a",
		"--exclude-table-data=audit -v":      "--exclude-table-data=audit",
		"--exclude-table-data audit -v":      "--exclude-table-data audit",
		"--schema=public":                    "--schema=public",
		"-n public":                          "-n public",
		"-npublic":                           "-npublic",
		"-N audit --no-comments -T a*":       "-N audit -T a*",
		"-t users":                           "-t users",
		"--section=pre-data":                 "--section=pre-data",
		"--no-large-objects":                 "--no-large-objects",
		"-B":                                 "-B",
		"-cEUTF8":                            "",
		"--no-own":                           "",       // whatever it abbreviates leaves nothing out
		"--no-s":                             "--no-s", // may be --no-schema
		"--encoding --schema-only":           "",       // which is the encoding's name
		"-vsE UTF8":                          "-vsE UTF8",
		"--filter=/tmp/x":                    "--filter=/tmp/x",
		"--no-unlogged-table-data":           "--no-unlogged-table-data",
		"--enable-row-security":              "--enable-row-security",
		"--no-data":                          "--no-data",
		"--no-schema":                        "--no-schema",
		"--no-policies":                      "--no-policies",
		"--exclude-extension=postgis":        "--exclude-extension=postgis",
		"--something-of-a-version-to-come=1": "--something-of-a-version-to-come=1",
	} {
		if got := strings.Join(backups.LeftOut(strings.Fields(args)), " "); got != want {
			t.Errorf("%q: got %q, want %q", args, got, want)
		}
	}
	if got := backups.LeftOut([]string{"--encoding=UTF8", "-"}); !slices.Equal(got, []string{"-"}) {
		t.Errorf("a lone dash: %q", got)
	}
}
