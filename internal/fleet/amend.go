package fleet

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Amendment is what becomes known about a tenant only after its job has returned and its result was announced: a drift
// that shows once all schemas are known, a bundle that could not be written. It adds to the result and never makes it
// better; see [Amend].
type Amendment struct {
	// ID is the id of the tenant, as its result has it.
	ID string
	// Err makes a tenant fail that had succeeded, or is one more reason why it failed. Nobody redacts it.
	Err error
	// Unchanged is true if it turns out that there was nothing to do for a tenant that had succeeded.
	Unchanged bool
	// Note replaces the outcome's note. Empty keeps it, unless the state changes: a note describes how a tenant ended.
	Note string
	// Warnings come after those that the outcome has.
	Warnings []string
	// Detail replaces the outcome's detail; nil keeps it.
	Detail any
	// Created is the tenant as its job created it, with the id and the key that it did not have when the run began. The
	// zero value leaves the result's tenant as it is.
	Created Tenant
}

// Amend returns a copy of the results with the amendments applied in their order; the results themselves, which were
// announced, stay as they are. A tenant that failed stays failed and keeps its error beside the new one, and a skipped
// tenant takes no amendment. An amendment that would break these rules, or whose tenant has no result, is a bug in the
// mode that made it: it is left out, and the error says which one. Without amendments it returns the results
// themselves.
func Amend(results []Result, amendments []Amendment) ([]Result, error) {
	if len(amendments) == 0 {
		return results, nil
	}
	amended := slices.Clone(results)
	index := make(map[string]int, len(amended))
	for i, r := range amended {
		index[r.Tenant.ID] = i
	}
	var errs []error
	for _, a := range amendments {
		i, ok := index[a.ID]
		if !ok {
			errs = append(errs, refused(a, "no tenant of this run has that id"))
			continue
		}
		r, err := a.apply(amended[i])
		if err != nil {
			errs = append(errs, err)
			continue
		}
		amended[i] = r
		index[r.Tenant.ID] = i
	}
	return amended, errors.Join(errs...)
}

// apply returns the amended result.
func (a Amendment) apply(r Result) (Result, error) {
	switch {
	case r.State == Skipped:
		return r, refused(a, "its job was never started")
	case a.Unchanged && (r.State == Failed || a.Err != nil):
		return r, refused(a, "a tenant that failed is not unchanged")
	case a.Created != (Tenant{}) && r.Tenant.ID != "" && r.Tenant.ID != a.Created.ID:
		return r, refused(a, "its id would change")
	}
	state := r.State
	switch {
	case a.Err != nil && r.Err != nil:
		r.Err = &bothErrors{r.Err, a.Err}
	case a.Err != nil:
		r.State, r.Err = Failed, a.Err
	case a.Unchanged:
		r.State = Unchanged
	}
	if a.Note != "" || r.State != state {
		r.Outcome.Note = a.Note
	}
	r.Outcome.Unchanged = r.State == Unchanged
	r.Outcome.Warnings = slices.Concat(r.Outcome.Warnings, a.Warnings)
	if a.Detail != nil {
		r.Outcome.Detail = a.Detail
	}
	if a.Created != (Tenant{}) {
		r.Tenant = a.Created
	}
	return r, nil
}

func refused(a Amendment, why string) error {
	return WithRemedy(fmt.Errorf("internal error: the result of tenant %q cannot be amended: %s", a.ID, why), reportBug)
}

// bothErrors are two reasons why one tenant failed.
type bothErrors struct{ first, second error }

func (e *bothErrors) Error() string {
	first, between := e.first.Error(), "; "
	if strings.Contains(first, "\n") { // its last line may be a caret below a statement
		between = "\n"
	}
	return first + between + e.second.Error()
}

func (e *bothErrors) Unwrap() []error { return []error{e.first, e.second} }

// Remedy joins the remedies of both.
func (e *bothErrors) Remedy() string {
	var remedies []string
	for _, err := range e.Unwrap() {
		if remedy := Remedy(err); remedy != "" && !slices.Contains(remedies, remedy) {
			remedies = append(remedies, remedy)
		}
	}
	return strings.Join(remedies, "; ")
}
