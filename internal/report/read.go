package report

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"

	"github.com/org/neon-tenants-action/internal/fleet"
)

// Read reads a report file written by any release with this schema version or an older one, whose fields may be in any
// order. It hands over the tenants one by one, so that the caller holds only what it keeps of them, and returns the
// file without them. What no run writes is an error, with a remedy. That may be known only at the file's end: what each
// was given counts only if Read returns no error. An error of each ends the reading, and is returned as it is.
func Read(r io.Reader, each func(TenantEntry) error) (File, error) {
	x := reading{decoder: json.NewDecoder(r), each: each}
	broken := x.object()
	if x.stopped != nil {
		return File{}, x.stopped
	}
	f, err := x.file()
	if f.Version > FileVersion { // the other fields may mean anything
		return File{}, fleet.WithRemedy(
			fmt.Errorf("read a report file: it has version %d; this release reads up to %d", f.Version, FileVersion),
			"use the same release of the action in all jobs of the workflow")
	}
	switch {
	case broken != nil:
		err = broken
	case err != nil:
	case f.Version == 0:
		return File{}, fleet.WithRemedy(
			errors.New("read a report file: it has no version, so this action did not write it"),
			"check which files the glob matches: they must be those that report-file named in the other jobs")
	default:
		err = x.check(f)
	}
	if err != nil {
		return File{}, fleet.WithRemedy(fmt.Errorf("read a report file: %w", err),
			"run the job that wrote this file again; if none did, have the glob match only the files that "+
				"report-file named in the jobs")
	}
	return f, nil
}

// Decode is [Read] for a file in memory, and with all its tenants.
func Decode(data []byte) (File, error) {
	tenants := []TenantEntry{}
	f, err := Read(bytes.NewReader(data), func(e TenantEntry) error {
		tenants = append(tenants, e)
		return nil
	})
	if err != nil {
		return File{}, err
	}
	f.Tenants = tenants
	return f, nil
}

// reading is a report file that is being read.
type reading struct {
	decoder *json.Decoder
	each    func(TenantEntry) error
	head    bytes.Buffer // the fields other than the tenants, separated by commas
	listed  bool         // there was a list of tenants
	counted Totals
	last    TenantEntry // in the highest wave
	// wrong is the first mistake in the tenants. It is told only once the version is known, which may follow them.
	wrong   error
	stopped error // what each returned
}

// object reads the file's only value. Its error is that of a text which is no JSON, or that ends early.
func (x *reading) object() error {
	begin, err := x.token()
	if err != nil {
		return err
	}
	if begin != json.Delim('{') {
		return mistyped[File]()
	}
	for x.decoder.More() {
		name, err := x.token()
		if err != nil {
			return err
		}
		if name, _ := name.(string); strings.EqualFold(name, "tenants") { // as encoding/json compares names
			err = x.tenants()
		} else {
			err = x.field(name)
		}
		if err != nil {
			return err
		}
	}
	if _, err := x.token(); err != nil {
		return err
	}
	if _, err := x.decoder.Token(); !errors.Is(err, io.EOF) {
		return errors.New("text follows its end")
	}
	return nil
}

// field keeps a field of the file's head.
func (x *reading) field(name string) error {
	var value json.RawMessage
	if err := x.decode(&value); err != nil {
		return err
	}
	quoted, err := json.Marshal(name)
	if err != nil {
		return err
	}
	if x.head.Len() > 0 {
		x.head.WriteByte(',')
	}
	x.head.Write(quoted)
	x.head.WriteByte(':')
	x.head.Write(value)
	return nil
}

// tenants reads the list, of which null is none.
func (x *reading) tenants() error {
	begin, err := x.token()
	if err != nil || begin == nil {
		return err
	}
	if begin != json.Delim('[') {
		return mistyped[[]TenantEntry]()
	}
	if x.listed && x.wrong == nil {
		x.wrong = errors.New("it has two lists of tenants, so no run of this action wrote it")
	}
	x.listed = true
	for x.decoder.More() {
		if err := x.tenant(); err != nil {
			return err
		}
	}
	_, err = x.token()
	return err
}

// tenant reads one tenant, and hands it over unless there was a mistake.
func (x *reading) tenant() error {
	var e TenantEntry
	err := x.decode(&e)
	if wrongType := (*json.UnmarshalTypeError)(nil); err != nil && !errors.As(err, &wrongType) {
		return err
	}
	if err == nil {
		err = e.check()
	}
	if x.wrong == nil {
		x.wrong = err
	}
	if x.wrong != nil {
		return nil
	}
	x.counted.count(e.State)
	if e.Wave > x.last.Wave {
		x.last = e
	}
	x.stopped = x.each(e)
	return x.stopped
}

// file returns the fields that were read, even if others follow that could not be.
func (x *reading) file() (File, error) {
	var f File
	err := json.Unmarshal([]byte("{"+x.head.String()+"}"), &f)
	return f, err
}

func (x *reading) token() (json.Token, error) {
	t, err := x.decoder.Token()
	return t, early(err)
}

func (x *reading) decode(v any) error { return early(x.decoder.Decode(v)) }

// early words the error of a text that ends too early, as json.Unmarshal does.
func early(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("unexpected end of JSON input")
	}
	return err
}

// mistyped is json.Unmarshal's error for a value that is not of the type.
func mistyped[T any]() error {
	return &json.UnmarshalTypeError{Value: "another value", Type: reflect.TypeFor[T]()}
}
