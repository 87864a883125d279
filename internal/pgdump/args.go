package pgdump

import (
	"cmp"
	"fmt"

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

// refused is an option of pg_dump that is not accepted, and the reason.
type refused struct{ long, why string }

// refusedArguments would change where the dump goes, or produce one that [Restore] cannot load.
var refusedArguments = []refused{
	{"file", "the dump is streamed, and written to no file"},
	{"format", "the format is chosen separately"},
	{"compress", "the compression is chosen separately"},
	{"jobs", "a dump that is streamed uses one connection"},
	{"dbname", connectionIsGiven},
	{"host", connectionIsGiven},
	{"port", connectionIsGiven},
	{"username", connectionIsGiven},
	{"password", "nobody is there to type one"},
	{"create", "a dump must restore into a database of any name"},
	{"version", dumpsNothing},
	{"help", dumpsNothing},
}

// refusedForSchemas would dump objects of another schema, instead or in addition.
var refusedForSchemas = []refused{
	{"schema", oneSchemaOnly}, {"table", oneSchemaOnly}, {"table-and-children", oneSchemaOnly},
	{"extension", oneSchemaOnly}, {"filter", oneSchemaOnly}, {"large-objects", oneSchemaOnly}, {"blobs", oneSchemaOnly},
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

// CheckArgs refuses arguments that would change where pg_dump connects to, where it writes, or in which format. The
// error is an [*ArgumentError]. pg_dump itself reports what else is wrong with them.
func CheckArgs(args []string) error { return checkArgs(args, refusedArguments) }

// CheckSchemaArgs refuses, beyond [CheckArgs], what would dump more than a single schema.
func CheckSchemaArgs(args []string) error { return checkArgs(args, refusedForSchemas) }

func checkArgs(args []string, forbidden []refused) error {
	for _, o := range Options(args) {
		switch word := o.Words[0]; {
		case word == "--":
			return &ArgumentError{UnsupportedArgument, "-- ends the options, but nothing may follow them"}
		case len(o.Names) == 0:
			return &ArgumentError{UnsupportedArgument,
				fmt.Sprintf("%q is not an option; the database to dump is given already", word)}
		}
		for _, r := range forbidden {
			if o.Is(r.long) {
				return r.as(cmp.Or(o.Short, "--"+r.long))
			}
		}
	}
	return nil
}
