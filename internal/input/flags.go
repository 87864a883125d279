package input

import (
	"flag"
	"fmt"
	"io"
	"strings"

	"github.com/org/neon-tenants-action/internal/words"
)

// parseFlags reads the command line up to its first mistake.
func (r *Reader) parseFlags(args []string) error {
	last := "" // the flag read last
	flags := flag.NewFlagSet("neon-tenants-action", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.Usage = func() {}
	for _, f := range r.def.Inputs {
		set := func(v string) error {
			last = f.Name
			r.setFlag(f.Name, v)
			return nil
		}
		if f.Bool() {
			flags.BoolFunc(f.Name, f.Description, set)
		} else {
			flags.Func(f.Name, f.Description, set)
		}
	}
	for len(args) > 0 {
		err := flags.Parse(args)
		rest := flags.Args()
		switch {
		case err == flag.ErrHelp: //nolint:errorlint // the flag package documents this very value
			return err
		case err != nil:
			r.Mistake(commandLine, "%s", r.describe(err))
			return nil
		case len(rest) == 0:
			return nil
		}
		// The flag package takes a switch without a value and stops at a value that follows it.
		before := len(args) - len(rest) - 1
		if f, _ := r.def.Input(last); before < 0 || !f.Bool() || strings.TrimLeft(args[before], "-") != last {
			r.Mistake(commandLine, "%s", stray(last, rest[0]))
			return nil
		}
		r.setFlag(last, rest[0])
		args = rest[1:]
	}
	return nil
}

func (r *Reader) setFlag(name, value string) {
	r.values[name], r.flags[name], r.exported[name] = value, true, false
	if delete(r.blank, name); strings.TrimSpace(value) == "" {
		r.blank[name] = "--" + name
	}
}

// stray says that an argument belongs to no flag. It quotes none that follows a flag: it may be the end of a secret.
func stray(after, argument string) string {
	if after == "" {
		return fmt.Sprintf("%q belongs to no input; give inputs as --name value, the mode too: --mode migrate", argument)
	}
	return fmt.Sprintf("what follows --%s and its value belongs to no input; put a value that has blanks in quotes, "+
		"and give inputs as --name value", after)
}

// commandLine takes the place of an input's name in mistakes that are about none.
const commandLine = "command line"

// describe translates an error of the flag package. It quotes nothing but the flag's name.
func (r *Reader) describe(err error) string {
	text := "an argument that begins with a hyphen is not of the form --name"
	if name, ok := strings.CutPrefix(err.Error(), "flag provided but not defined: -"); ok {
		text = fmt.Sprintf("there is no input --%s", name)
		if near := words.Nearest(name, r.def.names()); near != "" {
			return fmt.Sprintf("%s; did you mean --%s?", text, near)
		}
	}
	if name, ok := strings.CutPrefix(err.Error(), "flag needs an argument: -"); ok {
		text = fmt.Sprintf("--%s is the last argument and lacks its value", name)
	}
	return text + "; --help lists the inputs"
}
