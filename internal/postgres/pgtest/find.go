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

// installation is where the programs of one major version are.
type installation struct {
	major int
	dir   string
}

// Versions returns the major versions of the installed servers, in ascending order.
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
		return installation{}, fmt.Errorf("no PostgreSQL server found: install one (apt-get install postgresql), " +
			"or name its bin directory in PGTEST_BINDIRS")
	}
	if version == 0 {
		return all[len(all)-1], nil
	}
	for _, i := range all {
		if i.major == version {
			return i, nil
		}
	}
	return installation{}, fmt.Errorf("no PostgreSQL %d server found, only %v: install it "+
		"(apt-get install postgresql-%d), or name its bin directory in PGTEST_BINDIRS", version, Versions(), version)
}

var versionPattern = regexp.MustCompile(`\(PostgreSQL\) (\d+)`)

// installations finds servers in the directories of PGTEST_BINDIRS, those of Debian's packages, and PATH; one for each
// major version, in ascending order.
func installations() []installation {
	var found []installation
	seen := map[int]bool{}
	for _, dir := range binDirectories() {
		if major, ok := majorIn(dir); ok && !seen[major] {
			seen[major] = true
			found = append(found, installation{major, dir})
		}
	}
	slices.SortFunc(found, func(a, b installation) int { return a.major - b.major })
	return found
}

func binDirectories() []string {
	dirs := filepath.SplitList(os.Getenv("PGTEST_BINDIRS"))
	debian, _ := filepath.Glob("/usr/lib/postgresql/*/bin") // the only error is a bad pattern
	dirs = append(dirs, debian...)
	if path, err := exec.LookPath("postgres"); err == nil {
		if real, err := filepath.EvalSymlinks(path); err == nil {
			dirs = append(dirs, filepath.Dir(real))
		}
	}
	return dirs
}

// majorIn returns the major version of the server in a directory; ok is false if there is none, or only the clients.
func majorIn(dir string) (major int, ok bool) {
	if _, err := os.Stat(filepath.Join(dir, "initdb")); err != nil {
		return 0, false
	}
	out, err := exec.Command(filepath.Join(dir, "postgres"), "--version").Output()
	if err != nil {
		return 0, false
	}
	match := versionPattern.FindSubmatch(out)
	if match == nil {
		return 0, false
	}
	major, err = strconv.Atoi(string(match[1]))
	return major, err == nil
}
