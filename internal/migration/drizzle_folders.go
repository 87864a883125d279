package migration

import (
	"cmp"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/org/neon-tenants-action/internal/postgres"
)

// folderName matches the names of folders whose order is the same in every language: the date, and what drizzle-kit
// writes after it.
var (
	folderName  = regexp.MustCompile(`^(\d{14})`)
	plainLetter = regexp.MustCompile(`^[0-9A-Za-z_-]*$`)
)

// readFolders reads the migrations of folders, in the order of their names.
func (d *drizzleDir) readFolders(names, loose []string) error {
	d.files.layout = folderPerMigration
	slices.SortFunc(names, compareFolders)
	for i, name := range names {
		date := folderName.FindString(name)
		switch {
		case date == "" || strings.HasPrefix(date, "00"):
			d.problem("%s does not begin with a date, such as 20250131120000, without which drizzle cannot record it; name it "+
				"DATE_name", name)
			continue
		case i > 0 && strings.HasPrefix(names[i-1], date) &&
			!(plainLetter.MatchString(name) && plainLetter.MatchString(names[i-1])):
			d.problem("%s and %s have the same date, and which comes first depends on the language; give the later one a "+
				"later date, or name both with letters, digits, _ and - only, in drizzle's table too where they are applied",
				names[i-1], name)
		}
		entry := postgres.Entry{Version: name, Name: name, CreatedAt: secondOf(date) * 1000}
		if err := d.add(name+"/"+folderFile, entry); err != nil {
			return err
		}
	}
	for _, name := range loose {
		d.problem("%s is beside the migrations' folders and would never be run; make it with drizzle-kit generate "+
			"--custom, or move it away", name)
	}
	return nil
}

// secondOf is the time that 14 digits say, in seconds since 1970. What is too large goes into the next larger unit, as
// in JavaScript's Date.UTC.
func secondOf(digits string) int64 {
	n := func(from, to int) (value int) {
		for _, c := range digits[from:to] {
			value = 10*value + int(c-'0')
		}
		return value
	}
	return time.Date(n(0, 4), time.Month(n(4, 6)), n(6, 8), n(8, 10), n(10, 12), n(12, 14), 0, time.UTC).Unix()
}

// compareFolders orders names of letters, digits, _ and - as JavaScript's localeCompare does: _ before -, before
// digits, before letters, whose case counts only between names that are equal otherwise, lower case first. Names of
// other characters are ordered by the date that they begin with, or else somehow.
func compareFolders(a, b string) int {
	rank := func(c byte) int {
		switch {
		case c == '_':
			return 0
		case c == '-':
			return 1
		case c >= 'A' && c <= 'Z':
			return int(c) + 'a' - 'A'
		}
		return int(c)
	}
	for i := range min(len(a), len(b)) {
		if x, y := rank(a[i]), rank(b[i]); x != y {
			return cmp.Compare(x, y)
		}
	}
	if len(a) != len(b) {
		return cmp.Compare(len(a), len(b))
	}
	return -cmp.Compare(a, b) // upper case comes first in bytes
}
