package backups_test

import (
	"strings"
	"testing"

	"github.com/org/neon-tenants-action/internal/backups"
)

func TestUnloadable(t *testing.T) {
	for args, want := range map[string]string{
		"":                                   "",
		"--schema=public":                    "--schema=public",
		"--schema public":                    "--schema",
		"-n public":                          "-n",
		"-npublic":                           "-npublic",
		"-vn PUBLIC":                         "-vn",
		"-n p*":                              "-n",
		"-n (public|audit)":                  "-n",
		"-n (":                               "-n",
		`-n "PUBLIC"`:                        "",
		"-n audit --schema=billing":          "",
		"-N public":                          "",
		"-tn":                                "",
		"--exclude-schema=public":            "",
		"--schema-only":                      "",
		"-s":                                 "",
		"-a":                                 "-a",
		"--data-only":                        "--data-only",
		"--data-o":                           "--data-o",
		"--no-schema":                        "--no-schema",
		"--no-sync":                          "",
		"--section=post-data":                "--section=post-data",
		"--section=pre-data":                 "",
		"--exclude-table-data=users":         "",
		"--encoding=UTF8":                    "",
		"-ELATIN1":                           "",
		"--encoding=SJIS":                    "--encoding=SJIS",
		"--encoding Shift_JIS":               "--encoding",
		"-E gb18030":                         "-E",
		"-vEBig5":                            "-vEBig5",
		"--binary-upgrade":                   "--binary-upgrade",
		"--clean":                            "--clean",
		"-c":                                 "-c",
		"-cO":                                "-cO",
		"--clean --if-exists":                "",
		"-cEUTF8":                            "-cEUTF8",
		"-cEUTF8 --if-exists":                "",
		"-E --clean":                         "", // which is the encoding's name
		"--sect=data":                        "--sect=data",
		"--section=data --section=pre-data":  "",
		"--section data --section post-data": "--section",
		"-c --if-exists":                     "",
	} {
		if got, why := backups.Unloadable(strings.Fields(args), true); got != want || (why == "") != (want == "") {
			t.Errorf("%s: got %q, %q, want %q", args, got, why, want)
		}
	}
}

// An archive holds no statements that drop anything.
func TestCleanArchive(t *testing.T) {
	if arg, why := backups.Unloadable([]string{"--clean"}, false); arg != "" {
		t.Errorf("got %q, %q", arg, why)
	}
}

func TestForeignData(t *testing.T) {
	for args, want := range map[string]string{
		"--inserts -v": "", "--include-foreign-data=far": "--include-foreign-data=far",
		"-v --include-for far": "--include-for", "--if-exists": "",
	} {
		if got := backups.ForeignData(strings.Fields(args)); got != want {
			t.Errorf("%s: got %q, want %q", args, got, want)
		}
	}
}
