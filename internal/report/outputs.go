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
	"github.com/org/neon-tenants-action/internal/words"
)

// Output is one output of the action, or one variable for later steps.
type Output struct{ Name, Value string }

// MaxOutput is the largest output, in bytes, that a later step can be given: Linux holds no more than 128 KiB in one
// string of the environment, in which the runner passes every input and every env. A KiB is left for the variable's
// name.
const MaxOutput = 127 << 10

// Outputs lists the outputs that every mode has, and wave-reached if there were waves. failed-tenants is left out where
// it is larger than a step can take: a part of it would be taken for the whole. See [Unset].
func Outputs(r Run) []Output {
	t := r.Totals()
	outputs := []Output{
		{"total", strconv.Itoa(t.Total)},
		{"succeeded", strconv.Itoa(t.Succeeded)},
		{"unchanged", strconv.Itoa(t.Unchanged)},
		{"failed", strconv.Itoa(t.Failed)},
		{"skipped", strconv.Itoa(t.Skipped)},
	}
	if failed := failedTenants(r); len(failed) <= MaxOutput {
		outputs = append(outputs, Output{"failed-tenants", failed})
	}
	outputs = append(outputs, Output{"report-file", r.ReportFile})
	if len(r.Waves.Each) > 0 {
		outputs = append(outputs, Output{"wave-reached", strconv.Itoa(r.Waves.Reached)})
	}
	return outputs
}

// failedTenants is the JSON array of the names of the failed tenants.
func failedTenants(r Run) string {
	names := []string{}
	for _, res := range r.byState(fleet.Failed) {
		names = append(names, strings.ToValidUTF8(res.Tenant.Name, "\ufffd"))
	}
	failed, _ := json.Marshal(names) // strings always marshal
	return string(failed)
}

// Unset says that failed-tenants is left out of [Outputs], and what to use instead; it is empty if it is not.
func Unset(r Run) string {
	size := len(failedTenants(r))
	if size <= MaxOutput {
		return ""
	}
	text := fmt.Sprintf("the output failed-tenants is not set: the names of %s take %s, more than the %s that a later "+
		"step can be given; ", words.Count(r.Totals().Failed, "failed tenant", "failed tenants"), words.Size(int64(size)),
		words.Size(MaxOutput))
	if r.ReportFile == "" {
		return text + "set report-file to have them listed, or run over all tenants again"
	}
	return text + "the report file lists them, or run over all tenants again, which leaves alone what is done"
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
