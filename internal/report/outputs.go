package report

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"

	"github.com/org/neon-tenants-action/internal/fleet"
)

// Output is one output of the action, or one variable for later steps.
type Output struct{ Name, Value string }

// Outputs lists the outputs that every mode has.
func Outputs(r Run) []Output {
	t := r.Totals()
	names := []string{}
	for _, res := range r.byState(fleet.Failed) {
		names = append(names, strings.ToValidUTF8(res.Tenant.Name, "\ufffd"))
	}
	failed, _ := json.Marshal(names) // strings always marshal
	return []Output{
		{"total", strconv.Itoa(t.Total)},
		{"succeeded", strconv.Itoa(t.Succeeded)},
		{"unchanged", strconv.Itoa(t.Unchanged)},
		{"failed", strconv.Itoa(t.Failed)},
		{"skipped", strconv.Itoa(t.Skipped)},
		{"failed-tenants", string(failed)},
		{"report-file", r.ReportFile},
	}
}

var outputName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_-]*$`)

// AppendFile appends outputs to the file at path, in the format of GITHUB_OUTPUT and GITHUB_ENV. Each value stands
// between two lines that hold a random delimiter, so that no value can end early and start another output. If a name
// holds anything but letters, digits, - and _, nothing is written and the error names it.
func AppendFile(path string, outputs []Output) error {
	text, err := outputText(outputs)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("open the file for outputs: %w", err)
	}
	unended, err := lacksNewline(f)
	if err == nil {
		if unended {
			text = "\n" + text
		}
		_, err = f.WriteString(text)
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("write outputs: %w", err)
	}
	return nil
}

// outputText renders the outputs.
func outputText(outputs []Output) (string, error) {
	var b strings.Builder
	for _, o := range outputs {
		if !outputName.MatchString(o.Name) {
			return "", fmt.Errorf("%q is not a valid output name: "+
				"it takes letters, digits, - and _, and begins with a letter or _", o.Name)
		}
		delimiter := delimiterFor(o.Value)
		b.WriteString(o.Name + "<<" + delimiter + "\n" + o.Value + "\n" + delimiter + "\n")
	}
	return b.String(), nil
}

// delimiterFor returns a random line that value does not hold.
func delimiterFor(value string) string {
	for {
		var random [16]byte
		_, _ = rand.Read(random[:]) // never fails: crypto/rand crashes the program instead
		delimiter := "ghadelimiter_" + hex.EncodeToString(random[:])
		if !strings.Contains(value, delimiter) {
			return delimiter
		}
	}
}

// lacksNewline reports whether the file's last line, which another step may have written, has no line break.
func lacksNewline(f *os.File) (bool, error) {
	info, err := f.Stat()
	if err != nil || info.Size() == 0 {
		return false, err
	}
	var last [1]byte
	if _, err := f.ReadAt(last[:], info.Size()-1); err != nil {
		return false, err
	}
	return last[0] != '\n', nil
}
