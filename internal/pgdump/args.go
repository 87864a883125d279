package pgdump

import (
	"fmt"
	"strings"

	"github.com/org/neon-tenants-action/internal/postgres"
)

// Why pg_dump may not be given an argument.
const (
	UnsupportedArgument postgres.Cause = "unsupported argument"
	FormatArgument      postgres.Cause = "argument for the format"
	CompressionArgument postgres.Cause = "argument for the compression"
	ZstdArchive         postgres.Cause = "archive compressed with zstd" // before PostgreSQL 16
)

// ArgumentError is the error of an argument that pg_dump must not be given.
type ArgumentError struct {
	Cause   postgres.Cause
	Problem string
}

func (e *ArgumentError) Error() string { return e.Problem }

// refused is an option of pg_dump that is not accepted, with its short form (0 if it has none) and the reason.
type refused struct {
	long  string
	short byte
	why   string
}

// refusedArguments would change where the dump goes, or produce one that [Restore] cannot load.
var refusedArguments = []refused{
	{"file", 'f', "the dump is streamed, and written to no file"},
	{"format", 'F', "the format is chosen separately"},
	{"compress", 'Z', "the compression is chosen separately"},
	{"jobs", 'j', "a dump that is streamed uses one connection"},
	{"dbname", 'd', connectionIsGiven},
	{"host", 'h', connectionIsGiven},
	{"port", 'p', connectionIsGiven},
	{"username", 'U', connectionIsGiven},
	{"password", 'W', "nobody is there to type one"},
	{"create", 'C', "a dump must restore into a database of any name"},
	{"version", 'V', dumpsNothing},
	{"help", '?', dumpsNothing},
}

// refusedForSchemas would dump objects of another schema, instead or in addition.
var refusedForSchemas = []refused{
	{"schema", 'n', oneSchemaOnly}, {"table", 't', oneSchemaOnly}, {"table-and-children", 0, oneSchemaOnly},
	{"extension", 'e', oneSchemaOnly}, {"filter", 0, oneSchemaOnly}, {"large-objects", 'b', oneSchemaOnly},
	{"blobs", 0, oneSchemaOnly},
}

const (
	connectionIsGiven = "the database to connect to is given already"
	dumpsNothing      = "it dumps nothing"
	oneSchemaOnly     = "the dump of a schema holds that schema and nothing else"
)

func (r refused) as(spelling string) error {
	cause := UnsupportedArgument
	switch r.long {
	case "format":
		cause = FormatArgument
	case "compress":
		cause = CompressionArgument
	}
	return &ArgumentError{cause, fmt.Sprintf("%s cannot be used: %s", spelling, r.why)}
}

// shortWithValue are pg_dump's one-letter options that take a value, in the same word or in the next.
const shortWithValue = "deEfFhjnNpSrtTUZ"

// CheckArgs refuses arguments that would change where pg_dump connects to, where it writes, or in which format. The
// error is an [*ArgumentError]. pg_dump itself reports what else is wrong with them.
func CheckArgs(args []string) error { return checkArgs(args, refusedArguments) }

// CheckSchemaArgs refuses, beyond [CheckArgs], what would dump more than a single schema.
func CheckSchemaArgs(args []string) error { return checkArgs(args, refusedForSchemas) }

func checkArgs(args []string, forbidden []refused) error {
	for i := 0; i < len(args); i++ {
		arg := args[i]
		name, long := strings.CutPrefix(arg, "--")
		switch {
		case arg == "--":
			return &ArgumentError{UnsupportedArgument, "-- ends the options, but nothing may follow them"}
		case long:
			name, _, hasValue := strings.Cut(name, "=")
			if err := refuseLong(name, forbidden); err != nil {
				return err
			}
			if !hasValue && i+1 < len(args) && !strings.HasPrefix(args[i+1], "-") {
				i++ // its value; if it takes none, pg_dump refuses the second word itself
			}
		case strings.HasPrefix(arg, "-") && len(arg) > 1:
			valueFollows, err := refuseShort(arg[1:], forbidden)
			if err != nil {
				return err
			}
			if valueFollows {
				i++
			}
		default:
			return &ArgumentError{UnsupportedArgument,
				fmt.Sprintf("%q is not an option; the database to dump is given already", arg)}
		}
	}
	return nil
}

// refuseLong refuses abbreviations too, as getopt accepts them. --no-… and other longer names are not abbreviations.
func refuseLong(name string, forbidden []refused) error {
	for _, r := range forbidden {
		if name != "" && strings.HasPrefix(r.long, name) {
			return r.as("--" + r.long)
		}
	}
	return nil
}

// refuseShort checks a word of one-letter options, and reports whether the next word is the last option's value.
func refuseShort(letters string, forbidden []refused) (valueFollows bool, err error) {
	for i := 0; i < len(letters); i++ {
		for _, r := range forbidden {
			if letters[i] == r.short {
				return false, r.as("-" + letters[i:i+1])
			}
		}
		if strings.IndexByte(shortWithValue, letters[i]) >= 0 {
			return i == len(letters)-1, nil
		}
	}
	return false, nil
}
