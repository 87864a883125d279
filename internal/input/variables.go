package input

import (
	"slices"
	"strings"

	"github.com/org/neon-tenants-action/internal/words"
)

// ownPrefix begins the variables that a shell or another program sets for this one. Unlike the runner's, their names
// have no hyphens, which a shell cannot set.
const ownPrefix = "NEON_TENANTS_"

// runnerPrefix begins those that GitHub's runner sets.
const runnerPrefix = "INPUT_"

// variables are the names of the variables that may hold an input, the first of which wins: the runner's (upper case,
// spaces as underscores, hyphens kept), the same with underscores, and this program's own.
func variables(name string) []string {
	name = strings.ToUpper(strings.ReplaceAll(name, " ", "_"))
	plain := strings.ReplaceAll(name, "-", "_")
	if plain == name {
		return []string{runnerPrefix + name, ownPrefix + name}
	}
	return []string{runnerPrefix + name, runnerPrefix + plain, ownPrefix + plain}
}

// Variable is the name of the variable by which an input is best given from a shell.
func Variable(name string) string {
	all := variables(name)
	return all[len(all)-1]
}

// readVariables takes an input's value from the first variable that gives it. The runner sets a variable for every
// input, with the default of one that the workflow leaves out: its default and an empty text give way to the others,
// except that an empty text of a guarded input ([Reader.Guard]) is a mistake.
// Of two other variables with different values it is not known which one is meant.
func (r *Reader) readVariables(f Field) {
	by := ""
	for i, variable := range variables(f.Name) {
		v, set := r.lookup(variable)
		if !set {
			continue
		}
		text := strings.TrimSpace(v)
		if _, known := r.values[f.Name]; !known {
			r.values[f.Name] = v
		}
		switch known := r.values[f.Name]; {
		case text == "":
			r.blank[f.Name] = variable
		case i == 0 && text == f.Default:
		case by == "":
			r.values[f.Name], by = v, variable
			r.exported[f.Name] = strings.HasPrefix(variable, ownPrefix)
		case text != strings.TrimSpace(known):
			r.contradictions[f.Name] = by + " and " + variable
		}
	}
}

// checkContradictions makes a mistake of each input that two variables give different values, unless a flag decides.
func (r *Reader) checkContradictions() {
	for _, f := range r.def.Inputs {
		if both := r.contradictions[f.Name]; both != "" && !r.flags[f.Name] {
			r.Mistake(f.Name, "%s have different values; unset one of them", both)
		}
	}
}

// CheckVariables makes a mistake of each of the variables, NAME=VALUE, whose name says that it is an input, and that is
// none and not empty: most likely it was to say whom a run works on, or whether for real. others are this program's
// variables that are no inputs.
func (r *Reader) CheckVariables(environment []string, others func(name string) bool) {
	known := map[string]bool{}
	for _, f := range r.def.Inputs {
		for _, name := range variables(f.Name) {
			known[name] = true
		}
	}
	for _, entry := range environment {
		name, value, _ := strings.Cut(entry, "=")
		if known[name] || others(name) || strings.TrimSpace(value) == "" {
			continue
		}
		if given, ok := strings.CutPrefix(name, ownPrefix); ok {
			remedy := "correct its name (inputs are " + ownPrefix + " and the input's name with underscores), or unset it"
			if near := words.Nearest(given, r.def.names()); near != "" {
				remedy = "did you mean " + Variable(near) + "? Otherwise unset it"
			}
			r.VariableMistake(name, "belongs to no input; %s", remedy)
		}
		if given, ok := strings.CutPrefix(name, runnerPrefix); ok && r.runnerSets(given) {
			remedy := "take it out of the workflow, or correct its name; docs/inputs.md has them all"
			if near := words.Nearest(given, r.def.names()); near != "" {
				remedy = "did you mean " + near + "? Otherwise take it out of the workflow"
			}
			r.Mistake(strings.ToLower(given), "there is no such input, of which GitHub only warns; %s", remedy)
		}
	}
}

// runnerSets reports whether an INPUT_ variable that holds none of the action's inputs is one that a workflow gives.
// Every container's action has two more. act passes a composite action's inputs on to its steps, which the runner does
// not.
func (r *Reader) runnerSets(name string) bool {
	return r.Variable("GITHUB_ACTIONS") == "true" && r.Variable("ACT") != "true" &&
		name == strings.ToUpper(name) && !slices.Contains([]string{"ARGS", "ENTRYPOINT"}, name)
}

// Confidential notes that an input holds secrets, and so should not be an argument. [Reader.Secret] does so itself.
func (r *Reader) Confidential(name string) {
	if r.flags[name] {
		r.exposed[name] = true
	}
}

// Exposed returns the names of the secrets read so far that were given as arguments, which every process of the machine
// can see.
func (r *Reader) Exposed() []string {
	var names []string
	for _, f := range r.def.Inputs {
		if r.exposed[f.Name] {
			names = append(names, f.Name)
		}
	}
	return names
}
