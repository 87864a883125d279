package pgdump

import (
	"slices"
	"strings"
)

// Option is an option among pg_dump's arguments, read as pg_dump reads it, or a word that is none.
type Option struct {
	// Names are the long names of what it may be. They are several only for an abbreviation that fits several, because
	// one version of pg_dump may know fewer of them than another. An unknown option has the name that it is written
	// with, and a word that is no option has none.
	Names []string
	Value string
	Short string   // such as "-f", if it is written as a letter
	Words []string // the arguments that hold it; letters in one word share theirs
	At    int      // index of the first of them
}

// Is reports whether it is the option with that long name, or may be.
func (o Option) Is(name string) bool { return slices.Contains(o.Names, name) }

// valued are the options of pg_dump, up to version 18, that take a value.
var valued = []string{
	"compress", "dbname", "encoding", "exclude-extension", "exclude-schema", "exclude-table",
	"exclude-table-and-children", "exclude-table-data", "exclude-table-data-and-children", "extension",
	"extra-float-digits", "file", "filter", "format", "host", "include-foreign-data", "jobs", "lock-wait-timeout", "port",
	"restrict-key", "role", "rows-per-insert", "schema", "section", "snapshot", "superuser", "sync-method", "table",
	"table-and-children", "username",
}

// plainOptions are those that take none.
var plainOptions = []string{
	"attribute-inserts", "binary-upgrade", "blobs", "clean", "column-inserts", "create", "data-only",
	"disable-dollar-quoting", "disable-triggers", "enable-row-security", "help", "if-exists", "inserts", "large-objects",
	"load-via-partition-root", "no-acl", "no-blobs", "no-comments", "no-data", "no-large-objects", "no-owner",
	"no-password", "no-policies", "no-privileges", "no-publications", "no-reconnect", "no-schema", "no-security-labels",
	"no-statistics", "no-subscriptions", "no-sync", "no-table-access-method", "no-tablespaces", "no-toast-compression",
	"no-unlogged-table-data", "on-conflict-do-nothing", "password", "quote-all-identifiers", "schema-only",
	"sequence-data", "serializable-deferrable", "statistics", "statistics-only", "strict-names",
	"use-set-session-authorization", "verbose", "version",
}

// letters are the options with a short form.
var letters = map[byte]string{
	'a': "data-only", 'b': "large-objects", 'B': "no-large-objects", 'c': "clean", 'C': "create", 'd': "dbname",
	'e': "extension", 'E': "encoding", 'f': "file", 'F': "format", 'h': "host", 'j': "jobs", 'n': "schema",
	'N': "exclude-schema", 'O': "no-owner", 'p': "port", 'R': "no-reconnect", 's': "schema-only", 'S': "superuser",
	't': "table", 'T': "exclude-table", 'U': "username", 'v': "verbose", 'V': "version", 'w': "no-password",
	'W': "password", 'x': "no-privileges", 'Z': "compress", '?': "help",
}

// Options reads pg_dump's arguments.
func Options(args []string) (all []Option) {
	for i := 0; i < len(args); {
		next := args[min(i+1, len(args)):]
		long, isLong := strings.CutPrefix(args[i], "--")
		var read []Option
		used := 1
		switch {
		case isLong && long != "":
			read, used = longOption(long, next)
		case !isLong && strings.HasPrefix(args[i], "-") && args[i] != "-":
			read, used = letterOptions(args[i][1:], next)
		default:
			read = []Option{{}}
		}
		for _, o := range read {
			o.Words, o.At = args[i:i+used], i
			all = append(all, o)
		}
		i += used
	}
	return all
}

// longOption reads an option without its dashes. used is how many words it takes. Whether the next word is the value of
// an option that is not known cannot be told; one that looks like an option is taken for one.
func longOption(long string, next []string) (_ []Option, used int) {
	name, value, hasValue := strings.Cut(long, "=")
	o := Option{Names: spelled(name), Value: value}
	takes := func(name string) bool { return slices.Contains(valued, name) }
	takesNone := func(name string) bool { return slices.Contains(plainOptions, name) }
	switch {
	case hasValue, len(next) == 0, !slices.ContainsFunc(o.Names, func(name string) bool { return !takesNone(name) }):
		return []Option{o}, 1
	case slices.ContainsFunc(o.Names, func(name string) bool { return !takes(name) }) && strings.HasPrefix(next[0], "-"):
		return []Option{o}, 1
	}
	o.Value = next[0]
	return []Option{o}, 2
}

// spelled returns the long names that a name stands for: its own, or those that it abbreviates.
func spelled(name string) (names []string) {
	all := slices.Concat(valued, plainOptions)
	if name == "" || slices.Contains(all, name) {
		return []string{name}
	}
	for _, long := range all {
		if strings.HasPrefix(long, name) {
			names = append(names, long)
		}
	}
	if len(names) == 0 {
		return []string{name}
	}
	return names
}

// letterOptions reads the options in a word such as -Ox or -Eutf8, without its dash. Letters that are not known take no
// value, so that what follows is looked at too.
func letterOptions(word string, next []string) (read []Option, used int) {
	for i := range len(word) {
		name, known := letters[word[i]]
		if !known {
			name = word[i : i+1]
		}
		o := Option{Names: []string{name}, Short: "-" + word[i:i+1]}
		if !slices.Contains(valued, name) {
			read = append(read, o)
			continue
		}
		used = 1
		if o.Value = word[i+1:]; o.Value == "" && len(next) > 0 {
			o.Value, used = next[0], 2
		}
		return append(read, o), used
	}
	return read, 1
}
