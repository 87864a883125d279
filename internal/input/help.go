package input

import (
	"fmt"
	"io"
	"strings"
)

// Help writes what the program does, its modes, inputs and outputs, for a terminal of 100 columns.
func (d *Definition) Help(w io.Writer, modes []string) {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s\n\nUsage: neon-tenants-action --mode MODE [--INPUT VALUE ...]\n", d.Name, d.Description)
	b.WriteString("Every input can also be an environment variable: NEON_TENANTS_NEON_API_KEY for --neon-api-key. Give\n" +
		"secrets that way only, because every process of the machine can read this one's arguments.\n")
	fmt.Fprintf(&b, "\nModes: %s\n\nInputs:\n", strings.Join(modes, ", "))
	for _, f := range d.Inputs {
		fmt.Fprintf(&b, "  --%s", f.Name)
		if f.Default != "" {
			fmt.Fprintf(&b, " (default %s)", f.Default)
		}
		b.WriteString("\n")
		for _, line := range wrap(f.Description, 92) {
			fmt.Fprintf(&b, "        %s\n", line)
		}
	}
	b.WriteString("\nOutputs (to $GITHUB_OUTPUT in a workflow):\n")
	for _, f := range d.Outputs {
		fmt.Fprintf(&b, "  %s\n", f.Name)
		for _, line := range wrap(f.Description, 92) {
			fmt.Fprintf(&b, "        %s\n", line)
		}
	}
	_, _ = io.WriteString(w, b.String())
}

// wrap breaks text at spaces into lines of at most width bytes; a longer word gets a line of its own.
func wrap(text string, width int) []string {
	var lines []string
	line := ""
	for word := range strings.FieldsSeq(text) {
		if line != "" && len(line)+1+len(word) > width {
			lines, line = append(lines, line), ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	if line != "" {
		lines = append(lines, line)
	}
	return lines
}
