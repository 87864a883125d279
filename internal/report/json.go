package report

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
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

// JSON renders the report file. The same run gives the same bytes. The error names the tenant whose detail cannot be
// marshalled.
func JSON(r Run) ([]byte, error) {
	f := File{
		Version: FileVersion, RunID: r.ID, Mode: r.Mode, Source: r.Source, DryRun: r.DryRun, Shard: r.Shard,
		StartedAt: fileTime(r.Started), ElapsedMS: r.Elapsed.Milliseconds(), Totals: r.Totals(),
		Waves: fileWaves(r), Error: fileError(r.Err), Warnings: list(r.Warnings), Notices: list(r.Notices),
		Sections: r.Sections, Merged: r.Merged, Tenants: make([]TenantEntry, 0, len(r.Results)),
	}
	var err error
	if f.Detail, err = object(r.Detail); err != nil {
		return nil, fmt.Errorf("write the details of the run to the report: %w", err)
	}
	for _, res := range r.Results {
		e := TenantEntry{
			Name: res.Tenant.Name, ID: res.Tenant.ID, Key: res.Tenant.Key, State: res.State, Wave: res.Wave,
			Note: res.Outcome.Note, Error: fileError(res.Err), Warnings: list(res.Outcome.Warnings),
			StartedAt: fileTime(res.Started), ElapsedMS: res.Elapsed.Milliseconds(),
		}
		if e.Detail, err = object(res.Outcome.Detail); err != nil {
			return nil, fmt.Errorf("write the details of tenant %q to the report: %w", res.Tenant.Name, err)
		}
		f.Tenants = append(f.Tenants, e)
	}
	return marshal(f, "  ")
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

// Decode reads a report file written by any release with this schema version or an older one. What no run writes is an
// error, with a remedy.
func Decode(data []byte) (File, error) {
	const remedy = "run the job that wrote this file again; if none did, have the glob match only the files that " +
		"report-file named in the jobs"
	var f File
	if err := json.Unmarshal(data, &f); err != nil {
		return File{}, fleet.WithRemedy(fmt.Errorf("read a report file: %w", err), remedy)
	}
	switch {
	case f.Version == 0:
		return File{}, fleet.WithRemedy(
			errors.New("read a report file: it has no version, so this action did not write it"),
			"check which files the glob matches: they must be those that report-file named in the other jobs")
	case f.Version > FileVersion:
		return File{}, fleet.WithRemedy(
			fmt.Errorf("read a report file: it has version %d; this release reads up to %d", f.Version, FileVersion),
			"use the same release of the action in all jobs of the workflow")
	}
	if err := f.check(); err != nil {
		return File{}, fleet.WithRemedy(fmt.Errorf("read a report file: %w", err), remedy)
	}
	return f, nil
}

// Run returns the run that the file was written from. Its errors have the text, the remedy and the place of the
// original ones, and each Detail is the JSON from the file.
func (f File) Run() Run {
	r := Run{
		ID: f.RunID, Mode: f.Mode, Source: f.Source, DryRun: f.DryRun, Shard: f.Shard,
		Started: f.StartedAt, Elapsed: time.Duration(f.ElapsedMS) * time.Millisecond,
		Notices: f.Notices, Warnings: f.Warnings, Sections: f.Sections, Merged: f.Merged, Err: f.Error.err(),
		Waves: f.Waves.waves(),
	}
	if f.Detail != nil {
		r.Detail = f.Detail
	}
	for _, e := range f.Tenants {
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
		r.Results = append(r.Results, res)
	}
	return r
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
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", indent)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}
