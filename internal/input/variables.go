package input

import "strings"

// ownPrefix begins the variables that a shell or another program sets for this one. Unlike the runner's, their names
// have no hyphens, which a shell cannot set.
const ownPrefix = "NEON_TENANTS_"

// variables are the names of the variables that may hold an input, the first of which wins: the runner's (upper case,
// spaces as underscores, hyphens kept), the same with underscores, and this program's own.
func variables(name string) []string {
	name = strings.ToUpper(strings.ReplaceAll(name, " ", "_"))
	plain := strings.ReplaceAll(name, "-", "_")
	if plain == name {
		return []string{"INPUT_" + name, ownPrefix + name}
	}
	return []string{"INPUT_" + name, "INPUT_" + plain, ownPrefix + plain}
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
		case text != strings.TrimSpace(known):
			r.contradictions[f.Name] = by + " and " + variable
		}
	}
}

// checkVariables makes a mistake of each input that two variables give different values, unless a flag decides.
func (r *Reader) checkVariables() {
	for _, f := range r.def.Inputs {
		if both := r.contradictions[f.Name]; both != "" && !r.flags[f.Name] {
			r.Mistake(f.Name, "%s have different values; unset one of them", both)
		}
	}
}

// UnknownVariables returns those of the variables, NAME or NAME=VALUE, whose names say that they are inputs of this
// program, and that are none.
func (r *Reader) UnknownVariables(environment []string) []string {
	known := map[string]bool{}
	for _, f := range r.def.Inputs {
		known[Variable(f.Name)] = true
	}
	var unknown []string
	for _, entry := range environment {
		if name, _, _ := strings.Cut(entry, "="); strings.HasPrefix(name, ownPrefix) && !known[name] {
			unknown = append(unknown, name)
		}
	}
	return unknown
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
