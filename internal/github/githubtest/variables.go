package githubtest

import (
	"maps"
	"net/http"
	"slices"
	"strings"
)

func listVariables(_ *Server, r *request) reply {
	items := []any{}
	for _, name := range page(r, slices.Sorted(maps.Keys(r.vault.variables)), 10, 30) {
		items = append(items, r.describeVariable(name))
	}
	return ok(map[string]any{"total_count": len(r.vault.variables), "variables": items})
}

func (r *request) describeVariable(name string) map[string]any {
	one := r.vault.variables[name]
	out := map[string]any{"name": name, "value": one.value, "created_at": one.created, "updated_at": one.updated}
	if r.organization != nil {
		out["visibility"] = one.visibility
	}
	return out
}

func getVariable(_ *Server, r *request) reply {
	name := strings.ToUpper(r.PathValue("name"))
	if r.vault.variables[name] == nil {
		return notFound()
	}
	return ok(r.describeVariable(name))
}

// set is the body of a POST or PATCH.
type set struct {
	Name       *string `json:"name"`
	Value      *string `json:"value"`
	Visibility *string `json:"visibility"`
}

// check returns how GitHub refuses a body, or nil.
func (b set) check(r *request) *reply {
	complaint := ""
	if b.Name != nil {
		complaint = badName("Variable", *b.Name)
	}
	switch {
	case complaint != "":
	case b.Value != nil && len(*b.Value) > maxValue:
		complaint = "The value is too large: 48 KB is the limit."
	case b.Visibility != nil && r.organization == nil:
		complaint = "Only an organization's variables have a visibility."
	case b.Visibility != nil && !slices.Contains([]string{"all", "private", "selected"}, *b.Visibility):
		complaint = "The visibility is none: all, private, selected."
	}
	if complaint == "" {
		return nil
	}
	p := refuse(http.StatusUnprocessableEntity, "%s", complaint)
	return &p
}

func createVariable(_ *Server, r *request) reply {
	var body set
	if refusal := r.decode(&body); refusal != nil {
		return *refusal
	}
	for field, missing := range map[string]bool{"name": body.Name == nil, "value": body.Value == nil,
		"visibility": r.organization != nil && body.Visibility == nil} {
		if missing {
			return refuse(http.StatusUnprocessableEntity, "Invalid request.\n\n%q wasn't supplied.", field)
		}
	}
	if refusal := body.check(r); refusal != nil {
		return *refusal
	}
	name := strings.ToUpper(*body.Name)
	switch {
	case r.vault.variables[name] != nil:
		return refuse(http.StatusConflict, "Already exists - Variable already exists")
	case len(r.vault.variables) >= r.vault.maxVariables:
		return refuse(http.StatusUnprocessableEntity, "Failed to add variable. There is a limit of %d variables.",
			r.vault.maxVariables)
	}
	one := &variable{value: *body.Value, created: stamp(), updated: stamp()}
	if body.Visibility != nil {
		one.visibility = *body.Visibility
	}
	r.vault.variables[name] = one
	return reply{http.StatusCreated, struct{}{}}
}

func updateVariable(_ *Server, r *request) reply {
	name := strings.ToUpper(r.PathValue("name"))
	one := r.vault.variables[name]
	if one == nil {
		return notFound()
	}
	var body set
	if refusal := r.decode(&body); refusal != nil {
		return *refusal
	}
	if refusal := body.check(r); refusal != nil {
		return *refusal
	}
	if body.Name != nil && !strings.EqualFold(*body.Name, name) {
		renamed := strings.ToUpper(*body.Name)
		if r.vault.variables[renamed] != nil {
			return refuse(http.StatusConflict, "Already exists - Variable already exists")
		}
		delete(r.vault.variables, name)
		r.vault.variables[renamed] = one
	}
	if body.Value != nil {
		one.value = *body.Value
	}
	if body.Visibility != nil {
		one.visibility = *body.Visibility
	}
	one.updated = stamp()
	return reply{http.StatusNoContent, nil}
}
