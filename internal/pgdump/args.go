package pgdump

import (
	"fmt"
	"strings"
)

// ArgumentError is an argument that pg_dump must not be given.
type ArgumentError struct{ Problem, Fix string }

func (e *ArgumentError) Error() string { return "pg-dump-args: " + e.Problem }

// Remedy says what to do instead.
func (e *ArgumentError) Remedy() string { return e.Fix }

// refused is an option of pg_dump with its short form, 0 where it has none, and why it is not taken.
type refused struct {
	long  string
	short byte
	why   string
}

// refusedArguments are pg_dump's options that would lead the dump past us or make of it something that restore cannot
// load, with the short form and the reason.
var refusedArguments = []refused{
	{"file", 'f', "the dump goes to the bucket and to no file"},
	{"format", 'F', "use the input backup-format"},
	{"compress", 'Z', "use the inputs compression and compression-level"},
	{"jobs", 'j', "a dump that is streamed is made by one connection"},
	{"dbname", 'd', "the connection is the tenant's"},
	{"host", 'h', "the connection is the tenant's"},
	{"port", 'p', "the connection is the tenant's"},
	{"username", 'U', "the connection is the tenant's"},
	{"password", 'W', "there is nobody to ask"},
	{"create", 'C', "a backup is restored into a database of any name"},
	{"version", 'V', "it dumps nothing"},
	{"help", '?', "it dumps nothing"},
}

// refusedForSchemas are those that would dump another schema's objects, or besides.
var refusedForSchemas = []refused{
	{"schema", 'n', ofItsOwn}, {"table", 't', ofItsOwn}, {"table-and-children", 0, ofItsOwn}, {"extension", 'e', ofItsOwn}, {"filter", 0, ofItsOwn},
	{"large-objects", 'b', ofItsOwn}, {"blobs", 0, ofItsOwn},
}

const ofItsOwn = "a tenant's backup holds its own schema and nothing else"

// shortWithValue are pg_dump's one-letter options that take a value, in the same word or in the next.
const shortWithValue = "deEfFhjnNpSrtTUZ"

// CheckArgs refuses arguments that would change where pg_dump connects to, where it writes, or in which form. The
// error is an [*ArgumentError]. What else is wrong with them pg_dump says itself.
func CheckArgs(args []string) error { return checkArgs(args, refusedArguments) }

// CheckSchemaArgs refuses, beyond [CheckArgs], what would dump more than the one schema that is asked for.
func CheckSchemaArgs(args []string) error { return checkArgs(args, refusedForSchemas) }

func checkArgs(args []string, forbidden []refused) error {
	for i := 0; i < len(args); i++ {
		arg := args[i]
		name, long := strings.CutPrefix(arg, "--")
		switch {
		case arg == "--":
			return &ArgumentError{"-- ends the options, but there is nothing that may follow", "take it out"}
		case long:
			name, _, hasValue := strings.Cut(name, "=")
			if err := refusedLong(name, forbidden); err != nil {
				return err
			}
			if !hasValue && i+1 < len(args) && !strings.HasPrefix(args[i+1], "-") {
				i++ // its value; where it takes none, pg_dump refuses the second word itself
			}
		case strings.HasPrefix(arg, "-") && len(arg) > 1:
			taken, err := refusedShort(arg[1:], forbidden)
			if err != nil {
				return err
			}
			if taken {
				i++
			}
		default:
			return &ArgumentError{fmt.Sprintf("%q is not an option", arg), "take it out: the database is the tenant's"}
		}
	}
	return nil
}

// refusedLong counts abbreviations too, as getopt does. --no-… and other longer names are not abbreviations.
func refusedLong(name string, forbidden []refused) error {
	for _, r := range forbidden {
		if name != "" && strings.HasPrefix(r.long, name) {
			return &ArgumentError{fmt.Sprintf("--%s cannot be used: %s", r.long, r.why), "take it out"}
		}
	}
	return nil
}

// refusedShort looks at a word of one-letter options, and reports whether the next word is the last one's value.
func refusedShort(letters string, forbidden []refused) (valueFollows bool, err error) {
	for i := 0; i < len(letters); i++ {
		for _, r := range forbidden {
			if letters[i] == r.short {
				return false, &ArgumentError{fmt.Sprintf("-%c cannot be used: %s", r.short, r.why), "take it out"}
			}
		}
		if strings.IndexByte(shortWithValue, letters[i]) >= 0 {
			return i == len(letters)-1, nil
		}
	}
	return false, nil
}
