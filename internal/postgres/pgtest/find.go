package pgtest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
)

// installation is one server's programs.
type installation struct {
	major int
	dir   string
}

// Versions returns the majors of the installed servers, ascending.
func Versions() []int {
	var majors []int
	for _, i := range installations() {
		majors = append(majors, i.major)
	}
	return majors
}

func find(version int) (installation, error) {
	all := installations()
	if len(all) == 0 {
		return installation{}, fmt.Errorf("no PostgreSQL server found: install one (apt-get install postgresql), or name its bin directory in PGTEST_BINDIRS")
	}
	if version == 0 {
		return all[len(all)-1], nil
	}
	for _, i := range all {
		if i.major == version {
			return i, nil
		}
	}
	return installation{}, fmt.Errorf("no PostgreSQL %d server found, only %v: install it (apt-get install postgresql-%d), or name its bin directory in PGTEST_BINDIRS",
		version, Versions(), version)
}

var versionPattern = regexp.MustCompile(`\(PostgreSQL\) (\d+)`)

// installations looks where Debian and its derivatives keep servers, where the environment says, and in PATH; one for
// each major, ascending.
func installations() []installation {
	dirs := filepath.SplitList(os.Getenv("PGTEST_BINDIRS"))
	debian, _ := filepath.Glob("/usr/lib/postgresql/*/bin") // the only error is a bad pattern
	dirs = append(dirs, debian...)
	if path, err := exec.LookPath("postgres"); err == nil {
		if real, err := filepath.EvalSymlinks(path); err == nil {
			dirs = append(dirs, filepath.Dir(real))
		}
	}
	var found []installation
	seen := map[int]bool{}
	for _, dir := range dirs {
		// A directory may hold the clients only.
		if _, err := os.Stat(filepath.Join(dir, "initdb")); err != nil {
			continue
		}
		out, err := exec.Command(filepath.Join(dir, "postgres"), "--version").Output()
		if err != nil {
			continue
		}
		match := versionPattern.FindSubmatch(out)
		if match == nil {
			continue
		}
		major, err := strconv.Atoi(string(match[1]))
		if err != nil || seen[major] {
			continue
		}
		seen[major] = true
		found = append(found, installation{major, dir})
	}
	slices.SortFunc(found, func(a, b installation) int { return a.major - b.major })
	return found
}
