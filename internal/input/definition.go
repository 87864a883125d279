// Package input reads the action's inputs: from INPUT_ variables inside Actions, and from flags and the same variables
// outside. It collects every mistake, so that a user sees all of them in one message, before the first call. The
// inputs, their defaults and their descriptions are declared in one place: action.yml, which is embedded and parsed
// here.
package input

import (
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Definition is what action.yml declares, its inputs and outputs in the file's order.
type Definition struct {
	Name, Description string
	Inputs            []Field
	Outputs           []Field
}

// Field is one input or output.
type Field struct {
	Name, Description, Default string
}

// Bool reports whether an input is a switch, that is, whether its default is true or false.
func (f Field) Bool() bool { return f.Default == "true" || f.Default == "false" }

// ParseDefinition parses an action.yml. Its errors begin with "parse action.yml".
func ParseDefinition(actionYAML []byte) (*Definition, error) {
	var file struct {
		Name        string    `yaml:"name"`
		Description string    `yaml:"description"`
		Inputs      yaml.Node `yaml:"inputs"`
		Outputs     yaml.Node `yaml:"outputs"`
	}
	if err := yaml.Unmarshal(actionYAML, &file); err != nil {
		return nil, fmt.Errorf("parse action.yml: %w", err)
	}
	d := &Definition{Name: file.Name, Description: strings.TrimSpace(file.Description)}
	var err error
	if d.Inputs, err = fields(&file.Inputs); err != nil {
		return nil, fmt.Errorf("parse action.yml: inputs: %w", err)
	}
	if d.Outputs, err = fields(&file.Outputs); err != nil {
		return nil, fmt.Errorf("parse action.yml: outputs: %w", err)
	}
	return d, nil
}

// Input returns the input with that name, and whether it is declared.
func (d *Definition) Input(name string) (Field, bool) {
	for _, f := range d.Inputs {
		if f.Name == name {
			return f, true
		}
	}
	return Field{}, false
}

// names are the inputs' names.
func (d *Definition) names() []string {
	var names []string
	for _, f := range d.Inputs {
		names = append(names, f.Name)
	}
	return names
}

// fields walks a mapping node by hand, because a Go map would lose the order, which --help and the README keep.
func fields(mapping *yaml.Node) ([]Field, error) {
	var out []Field
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		var body struct {
			Description string `yaml:"description"`
			Default     string `yaml:"default"`
		}
		if err := mapping.Content[i+1].Decode(&body); err != nil {
			return nil, fmt.Errorf("%s: %w", mapping.Content[i].Value, err)
		}
		out = append(out, Field{
			Name:        mapping.Content[i].Value,
			Description: strings.TrimSpace(body.Description),
			Default:     body.Default,
		})
	}
	return out, nil
}
