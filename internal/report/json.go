package report

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/org/neon-tenants-action/internal/fleet"
)

// FileVersion is the version of the report file's schema. It stays the same when fields are added, and changes when a
// field is removed, renamed or given another meaning.
const FileVersion = 1

// File is the report file: one schema for all modes, described field by field in docs/report-file.md.
type File struct {
	Version int `json:"version"`
	// RunID is GitHub's id of the workflow run, or one made up outside of Actions. It is empty if the report is merged
	// from several runs.
	RunID  string `json:"run_id"`
	Mode   string `json:"mode"`
	Source string `json:"source"`
	DryRun bool   `json:"dry_run"`
	// Made is what a dry run made for rehearsals, and deleted again; zero, and absent, if that is nothing.
	Made Made `json:"made,omitzero"`
	// Shard is this job's share, "2/8"; empty if the run was not sharded.
	Shard     string    `json:"shard"`
	StartedAt time.Time `json:"started_at"`
	ElapsedMS int64     `json:"elapsed_ms"`
	Totals    Totals    `json:"totals"`
	// Waves are what became of the run's waves; nil if it had none.
	Waves *FileWaves `json:"waves,omitempty"`
	// Error is the run's own error, whatever became of the tenants; nil if it had none.
	Error    *FileError `json:"error,omitempty"`
	Warnings []string   `json:"warnings"`
	Notices  []string   `json:"notices"`
	// Sections are what the mode reports about the run as a whole, as text.
	Sections []Section `json:"sections,omitempty"`
	// Detail is the mode's own object about the run as a whole; nil if it has none.
	Detail json.RawMessage `json:"detail,omitempty"`
	// Merged are the report files that this one was merged from; empty if it is not merged.
	Merged  []MergedRun   `json:"merged,omitempty"`
	Tenants []TenantEntry `json:"tenants"`
}

// TenantEntry is one tenant in the report file.
type TenantEntry struct {
	Name  string      `json:"name"`
	ID    string      `json:"id"`
	Key   string      `json:"key"`
	State fleet.State `json:"state"`
	// Wave is the number of the tenant's wave, from 1; 0, and absent, if there are none or it is beyond the last.
	Wave int    `json:"wave,omitempty"`
	Note string `json:"note"`
	// Error is why the tenant failed or was skipped; nil otherwise.
	Error    *FileError `json:"error,omitempty"`
	Warnings []string   `json:"warnings"`
	// StartedAt is zero, and absent from the file, if the tenant was never started.
	StartedAt time.Time `json:"started_at,omitzero"`
	ElapsedMS int64     `json:"elapsed_ms"`
	// Detail is the mode's own object; nil if it has none.
	Detail json.RawMessage `json:"detail,omitempty"`
}

// FileError is an error with its remedy and the place in the workspace that it is about.
type FileError struct {
	Message string `json:"message"`
	Remedy  string `json:"remedy,omitempty"`
	File    string `json:"file,omitempty"`
	Line    int    `json:"line,omitempty"`
}

// WriteJSON writes the report file. The same run gives the same bytes. It renders one tenant at a time, so that the
// text of a large fleet is never in memory as a whole. The error names the tenant whose detail cannot be marshalled;
// what was written until then is no report file.
func WriteJSON(w io.Writer, r Run) error {
	head, err := r.head()
	if err != nil {
		return err
	}
	// The list of tenants is the last field, and empty here.
	const end = "]\n}\n"
	text, err := marshal(head, indent)
	if err != nil {
		return err
	}
	b := bufio.NewWriterSize(w, 64<<10)
	var one bytes.Buffer // the same for every tenant, so that it grows once
	encoder := newEncoder(&one, indent+indent, indent)
	_, _ = b.Write(bytes.TrimSuffix(text, []byte(end))) // Flush returns the error of any write
	for i, res := range r.Results {
		e, err := entry(res)
		if err != nil {
			return err
		}
		one.Reset()
		if err := encoder.Encode(e); err != nil {
			return fmt.Errorf("write tenant %q to the report: %w", res.Tenant.Name, err)
		}
		if i > 0 {
			_ = b.WriteByte(',')
		}
		_, _ = b.WriteString("\n" + indent + indent)
		_, _ = b.Write(bytes.TrimSuffix(one.Bytes(), []byte("\n")))
	}
	if len(r.Results) > 0 {
		_, _ = b.WriteString("\n" + indent)
	}
	_, _ = b.WriteString(end)
	return b.Flush()
}

// head is the report file without its tenants.
func (r Run) head() (File, error) {
	f := File{
		Version: FileVersion, RunID: r.ID, Mode: r.Mode, Source: r.Source, DryRun: r.DryRun, Made: r.Made, Shard: r.Shard,
		StartedAt: fileTime(r.Started), ElapsedMS: r.Elapsed.Milliseconds(), Totals: r.Totals(),
		Waves: fileWaves(r), Error: fileError(r.Err), Warnings: list(r.Warnings), Notices: list(r.Notices),
		Sections: r.Sections, Merged: r.Merged, Tenants: []TenantEntry{},
	}
	var err error
	if f.Detail, err = object(r.Detail); err != nil {
		return File{}, fmt.Errorf("write the details of the run to the report: %w", err)
	}
	return f, nil
}

// entry is one tenant of the report file.
func entry(res fleet.Result) (TenantEntry, error) {
	e := TenantEntry{
		Name: res.Tenant.Name, ID: res.Tenant.ID, Key: res.Tenant.Key, State: res.State, Wave: res.Wave,
		Note: res.Outcome.Note, Error: fileError(res.Err), Warnings: list(res.Outcome.Warnings),
		StartedAt: fileTime(res.Started), ElapsedMS: res.Elapsed.Milliseconds(),
	}
	var err error
	if e.Detail, err = object(res.Outcome.Detail); err != nil {
		return TenantEntry{}, fmt.Errorf("write the details of tenant %q to the report: %w", res.Tenant.Name, err)
	}
	return e, nil
}

// object marshals a mode's own object. It returns nil for nil and for what marshals to null.
func object(v any) (json.RawMessage, error) {
	if v == nil {
		return nil, nil
	}
	text, err := marshal(v, "")
	if err != nil || bytes.Equal(text, []byte("null\n")) {
		return nil, err
	}
	return bytes.TrimSpace(text), nil
}

// Run returns the run that the file was written from. Its errors have the text, the remedy and the place of the
// original ones, and each Detail is the JSON from the file.
func (f File) Run() Run {
	r := f.withoutResults()
	r.Results = make([]fleet.Result, len(f.Tenants))
	for i, e := range f.Tenants {
		r.Results[i] = e.result()
	}
	return r
}

// withoutResults is [File.Run] for what concerns no single tenant.
func (f File) withoutResults() Run {
	r := Run{
		ID: f.RunID, Mode: f.Mode, Source: f.Source, DryRun: f.DryRun, Made: f.Made, Shard: f.Shard,
		Started: f.StartedAt, Elapsed: time.Duration(f.ElapsedMS) * time.Millisecond,
		Notices: f.Notices, Warnings: f.Warnings, Sections: f.Sections, Merged: f.Merged, Err: f.Error.err(),
		Waves: f.Waves.waves(),
	}
	if f.Detail != nil {
		r.Detail = f.Detail
	}
	return r
}

// result is the tenant's result that the entry was written from.
func (e TenantEntry) result() fleet.Result {
	res := fleet.Result{
		Tenant: fleet.Tenant{Name: e.Name, ID: e.ID, Key: e.Key},
		Wave:   e.Wave,
		State:  e.State,
		Outcome: fleet.Outcome{
			Unchanged: e.State == fleet.Unchanged, Note: e.Note, Warnings: e.Warnings,
		},
		Err: e.Error.err(), Started: e.StartedAt, Elapsed: time.Duration(e.ElapsedMS) * time.Millisecond,
	}
	if e.Detail != nil {
		res.Outcome.Detail = e.Detail
	}
	return res
}

// storedError is an error read from a report file.
type storedError struct{ FileError }

func (e *storedError) Error() string           { return e.Message }
func (e *storedError) Remedy() string          { return e.FileError.Remedy }
func (e *storedError) Location() (string, int) { return e.File, e.Line }

// err turns nil into a nil error.
func (e *FileError) err() error {
	if e == nil {
		return nil
	}
	return &storedError{*e}
}

func fileError(err error) *FileError {
	if err == nil {
		return nil
	}
	file, line := fleet.Location(err)
	return &FileError{Message: err.Error(), Remedy: fleet.Remedy(err), File: file, Line: line}
}

// fileTime converts a time to UTC and truncates it to milliseconds; the zero time stays zero.
func fileTime(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return t.UTC().Truncate(time.Millisecond)
}

// list turns nil into an empty list, so that the file never holds null where a reader loops.
func list(texts []string) []string {
	if texts == nil {
		return []string{}
	}
	return texts
}

func marshal(v any, indent string) ([]byte, error) {
	var b bytes.Buffer
	if err := newEncoder(&b, "", indent).Encode(v); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// newEncoder writes values on several lines, the ones after the first with a prefix, unless both texts are empty.
func newEncoder(w io.Writer, prefix, indent string) *json.Encoder {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent(prefix, indent)
	return e
}
