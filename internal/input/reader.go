package input

import (
	"fmt"
	"slices"
	"strings"

	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/workspace"
)

// Reader returns the values of inputs by their type. For a value that breaks its rule it notes a mistake and returns
// the zero value: callers read everything they need, then ask [Reader.Err] once.
type Reader struct {
	def       *Definition
	values    map[string]string // as given; absent if neither a flag nor a variable sets the input
	guards    []string          // inputs that must not be empty if they are given
	workspace workspace.Workspace
	lookup    func(string) (string, bool)
	used      map[string]bool
	flags     map[string]bool   // inputs that flags give
	exported  map[string]bool   // inputs that the shell's variables give, perhaps for other runs
	blank     map[string]string // inputs that are given and empty, by what
	exposed   map[string]bool   // secrets that flags give
	defaults  map[string]string // in place of the definition's
	mistakes  []string
	secrets   []fleet.Secret

	contradictions map[string]string // two variables of an input that differ
}

// New returns a reader in which flags win over variables, INPUT_ ones over NEON_TENANTS_ ones, and all of them over the
// definition's defaults. args is the command line without the program's name; lookup is [os.LookupEnv] or a test's.
// Unknown flags are mistakes, and so are two variables with different values. The only error is [flag.ErrHelp], if the
// command line asks for help.
func New(def *Definition, args []string, lookup func(string) (string, bool)) (*Reader, error) {
	r := &Reader{
		def: def, values: map[string]string{}, lookup: lookup, used: map[string]bool{}, flags: map[string]bool{},
		exported: map[string]bool{},
		defaults: map[string]string{},
		blank:    map[string]string{}, exposed: map[string]bool{}, contradictions: map[string]string{},
	}
	r.workspace.Root, _ = lookup("GITHUB_WORKSPACE")
	actions, _ := lookup("GITHUB_ACTIONS")
	r.workspace.Confined = actions == "true"
	for _, f := range def.Inputs {
		r.readVariables(f)
	}
	err := r.parseFlags(args)
	r.checkContradictions()
	return r, err
}

// ofVariable begins what takes an input's name's place in mistakes about a variable.
const ofVariable = "variable "

// Guard names the inputs whose empty value is a mistake in every mode that reads them, if it is given. GitHub's runner
// passes an input that the workflow leaves out with its default, and one whose expression gives nothing as an empty
// text: an input can be told to be given and empty only if its default is not empty. Call it before reading any input.
func (r *Reader) Guard(names ...string) {
	for _, name := range names {
		if f, ok := r.def.Input(name); !ok || f.Default == "" {
			panic("input " + name + " has no default in action.yml") // a bug that every test of an action meets
		}
	}
	r.guards = append(r.guards, names...)
}

// String returns an input's value without blanks at its ends, or its default if the value is absent or empty: a
// scheduled workflow that passes on a workflow_dispatch input passes on an empty text, and means the default. See
// [Reader.Guard] for inputs of which that must not be assumed.
func (r *Reader) String(name string) string {
	return strings.TrimSpace(r.Text(name))
}

// Text is [Reader.String] with the blanks at the value's ends, for inputs that hold names as they are.
func (r *Reader) Text(name string) string {
	f := r.field(name)
	if v := r.values[name]; strings.TrimSpace(v) != "" {
		return v
	}
	return f.Default
}

// Optional is [Reader.String] for inputs whose empty value means "none", not the default.
func (r *Reader) Optional(name string) string {
	f := r.field(name)
	if v, ok := r.values[name]; ok {
		return strings.TrimSpace(v)
	}
	return f.Default
}

// Default gives an input that is left out another default than the definition's, which depends on another input.
func (r *Reader) Default(name, value string) {
	if !r.Given(name) {
		delete(r.values, name) // GitHub's runner passes the definition's default
		r.defaults[name] = value
	}
}

func (r *Reader) field(name string) Field {
	f, ok := r.def.Input(name)
	if !ok {
		panic("input " + name + " is not declared in action.yml") // a bug that every test of the mode meets
	}
	if value, ok := r.defaults[name]; ok {
		f.Default = value
	}
	r.used[name] = true
	if by, blank := r.blank[name]; blank && slices.Contains(r.guards, name) {
		if strings.TrimSpace(r.values[name]) == "" {
			r.Mistake(name, "is given and is empty, as an expression that finds nothing is; "+
				"correct the expression, or leave the input out, which means %s", f.Default)
		} else {
			r.Mistake(name, "%s is empty, as an expression that finds nothing is, and another variable has a value; "+
				"correct the expression, or unset %[1]s", by)
		}
	}
	return f
}

// Variable returns an environment variable that is not an input, as the runner or AWS's own tools set.
func (r *Reader) Variable(name string) string {
	v, _ := r.LookupVariable(name)
	return v
}

// LookupVariable is [Reader.Variable] for one that may be set and empty.
func (r *Reader) LookupVariable(name string) (value string, set bool) { return r.lookup(name) }

// Given reports whether an input has a value other than its default.
func (r *Reader) Given(name string) bool {
	return r.differs(r.field(name))
}

func (r *Reader) differs(f Field) bool {
	v := strings.TrimSpace(r.values[f.Name])
	return v != "" && v != f.Default
}

// Required is [Reader.String] for inputs whose empty value is a mistake.
func (r *Reader) Required(name string) string {
	v := r.String(name)
	if v == "" {
		r.Mistake(name, "is required here and is empty; set it under with: in the workflow, or give --%s", name)
	}
	return v
}

// Secret is [Reader.Required] for a value that must never be printed; see [Reader.Secrets].
func (r *Reader) Secret(name string) string {
	v := r.String(name)
	if v == "" {
		r.Mistake(name, "is required here and is empty; store it as a secret and pass %s: ${{ secrets.%s }} "+
			"(a secret that does not exist is an empty text, and so is every secret in a workflow started from a fork), "+
			"or from a shell, set %s", name, strings.ToUpper(strings.ReplaceAll(name, "-", "_")), Variable(name))
		return ""
	}
	return r.OptionalSecret(name)
}

// OptionalSecret is [Reader.Secret] for a value that may be empty.
func (r *Reader) OptionalSecret(name string) string {
	v := r.String(name)
	if v != "" {
		r.secrets = append(r.secrets, fleet.NewSecret(v))
		r.Confidential(name)
	}
	return v
}

// Conceal adds secrets that are part of an input's value to those of [Reader.Secrets].
func (r *Reader) Conceal(secrets ...fleet.Secret) { r.secrets = append(r.secrets, secrets...) }

// Secrets returns the secrets read so far, which must be masked before anything is printed.
func (r *Reader) Secrets() []fleet.Secret { return r.secrets }

// Mistake records that an input breaks a rule. The text follows the input's name, and should name the rule and the
// remedy. The same mistake counts once, because several parts of a mode may read the same input.
func (r *Reader) Mistake(name, format string, args ...any) {
	if text := fmt.Sprintf("%s: %s", name, fmt.Sprintf(format, args...)); !slices.Contains(r.mistakes, text) {
		r.mistakes = append(r.mistakes, text)
	}
}

// VariableMistake is [Reader.Mistake] about an environment variable that is not an input.
func (r *Reader) VariableMistake(name, format string, args ...any) {
	r.Mistake(ofVariable+name, format, args...)
}

// Err returns all mistakes so far as one [*Error]; nil if there are none. One of the command line hides all others:
// what it kept from being read only seems to be missing.
func (r *Reader) Err() error {
	for _, m := range r.mistakes {
		if strings.HasPrefix(m, commandLine+":") {
			return &Error{Mistakes: []string{m}}
		}
	}
	if len(r.mistakes) == 0 {
		return nil
	}
	return &Error{Mistakes: r.mistakes}
}

// Unused lists the inputs that have a value other than their default and that nothing has read: they have no effect
// with this mode and source, which a user will want to know. Variables that a shell exports are for other runs, too.
func (r *Reader) Unused() []string {
	var names []string
	for _, f := range r.def.Inputs {
		if r.differs(f) && !r.used[f.Name] && !r.exported[f.Name] {
			names = append(names, f.Name)
		}
	}
	return names
}

// Error is all that is wrong with the inputs. Each mistake names its input.
type Error struct{ Mistakes []string }

func (e *Error) Error() string {
	if len(e.Mistakes) == 1 {
		if strings.HasPrefix(e.Mistakes[0], commandLine) || strings.HasPrefix(e.Mistakes[0], ofVariable) {
			return e.Mistakes[0]
		}
		return "input " + e.Mistakes[0]
	}
	return fmt.Sprintf("%d mistakes in the inputs:\n  - %s", len(e.Mistakes), strings.Join(e.Mistakes, "\n  - "))
}
