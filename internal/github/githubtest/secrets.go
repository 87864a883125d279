package githubtest

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

func getPublicKey(_ *Server, r *request) reply {
	return ok(map[string]any{"key_id": r.vault.id(), "key": base64.StdEncoding.EncodeToString(r.vault.public[:])})
}

func listSecrets(_ *Server, r *request) reply {
	items := []any{}
	for _, name := range page(r, slices.Sorted(maps.Keys(r.vault.secrets)), 30, 100) {
		items = append(items, r.describe(name))
	}
	return ok(map[string]any{"total_count": len(r.vault.secrets), "secrets": items})
}

// describe returns a secret as the API shows it.
func (r *request) describe(name string) map[string]any {
	one := r.vault.secrets[name]
	out := map[string]any{"name": name, "created_at": one.created, "updated_at": one.updated}
	if r.organization != nil {
		out["visibility"] = one.visibility
		if one.visibility == "selected" {
			out["selected_repositories_url"] = fmt.Sprintf("%s/orgs/%s/actions/secrets/%s/repositories", r.base,
				r.organization.login, name)
		}
	}
	return out
}

// find returns the secret that the path names, and its name as it is stored.
func (r *request) find() (string, *secret) {
	name := strings.ToUpper(r.PathValue("secret_name"))
	return name, r.vault.secrets[name]
}

func getSecret(_ *Server, r *request) reply {
	name, one := r.find()
	if one == nil {
		return notFound()
	}
	return ok(r.describe(name))
}

// written is the body of a PUT. A key's id is a string or a number.
type written struct {
	Value      *string          `json:"encrypted_value"`
	KeyID      *json.RawMessage `json:"key_id"`
	Visibility string           `json:"visibility"`
	Selected   []int64          `json:"selected_repository_ids"`
}

func putSecret(s *Server, r *request) reply {
	name, one := r.find()
	if complaint := badName("Secret", name); complaint != "" {
		return refuse(http.StatusUnprocessableEntity, "%s", complaint)
	}
	var body written
	if refusal := r.decode(&body); refusal != nil {
		return *refusal
	}
	for field, missing := range map[string]bool{"encrypted_value": body.Value == nil, "key_id": body.KeyID == nil,
		"visibility": r.organization != nil && body.Visibility == ""} {
		if missing {
			return refuse(http.StatusUnprocessableEntity, "Invalid request.\n\n%q wasn't supplied.", field)
		}
	}
	if id := strings.Trim(string(*body.KeyID), `"`); id != r.vault.keyID {
		return refuse(http.StatusUnprocessableEntity,
			"Invalid request.\n\nkey_id %s is not the id of the current public key.", id)
	}
	value, err := r.vault.open(*body.Value)
	if err != nil {
		return refuse(http.StatusUnprocessableEntity, "Invalid request.\n\n%s.", err)
	}
	if r.organization != nil {
		if complaint := s.badAudience(r, body); complaint != "" {
			return refuse(http.StatusUnprocessableEntity, "%s", complaint)
		}
	} else if body.Visibility != "" || body.Selected != nil {
		return refuse(http.StatusUnprocessableEntity, "Invalid request.\n\nOnly an organization's secrets have a visibility.")
	}
	status := http.StatusNoContent
	now := stamp()
	if one == nil {
		if len(r.vault.secrets) >= r.vault.maxSecrets {
			return refuse(http.StatusUnprocessableEntity, "Failed to add secret. There is a limit of %d secrets.",
				r.vault.maxSecrets)
		}
		one = &secret{created: now}
		r.vault.secrets[name] = one
		status = http.StatusCreated
	}
	// Repositories that are not listed are deselected.
	one.value, one.updated, one.visibility, one.selected = value, now, body.Visibility, slices.Clone(body.Selected)
	if status == http.StatusCreated {
		return reply{status, struct{}{}}
	}
	return reply{status, nil}
}

// badAudience returns what is wrong with the visibility of an organization's secret, or "".
func (s *Server) badAudience(r *request, body written) string {
	switch body.Visibility {
	case "all", "private":
		if body.Selected != nil {
			return "selected_repository_ids can only be provided when the visibility is set to selected."
		}
	case "selected":
		return s.foreign(r, body.Selected)
	default:
		return fmt.Sprintf("Invalid request.\n\n%q is not a visibility: all, private, selected.", body.Visibility)
	}
	return ""
}

// foreign returns a complaint about repositories that are not the organization's, or "".
func (s *Server) foreign(r *request, ids []int64) string {
	for _, id := range ids {
		one := s.byID(id)
		if one == nil || !strings.EqualFold(one.owner(), r.organization.login) {
			return fmt.Sprintf("Repository %d is not one of the organization's.", id)
		}
	}
	return ""
}

func deleteSecret(_ *Server, r *request) reply {
	name, one := r.find()
	if one == nil {
		return notFound()
	}
	delete(r.vault.secrets, name)
	return reply{http.StatusNoContent, nil}
}

func listSelected(s *Server, r *request) reply {
	_, one := r.find()
	if one == nil {
		return notFound()
	}
	items := []any{}
	for _, id := range page(r, one.selected, 30, 100) {
		items = append(items, s.byID(id).describe())
	}
	return ok(map[string]any{"total_count": len(one.selected), "repositories": items})
}

// page returns the requested page of a list, and sets the Link header.
func page[T any](r *request, all []T, usual, most int) []T {
	number := func(name string, without int) int {
		n, err := strconv.Atoi(r.URL.Query().Get(name))
		if err != nil || n < 1 {
			return without
		}
		return n
	}
	size, n := min(number("per_page", usual), most), number("page", 1)
	last := max(1, (len(all)+size-1)/size)
	var links []string
	link := func(page int, rel string) {
		links = append(links, fmt.Sprintf("<%s%s?per_page=%d&page=%d>; rel=%q", r.base, r.URL.EscapedPath(), size, page, rel))
	}
	if n > 1 {
		link(n-1, "prev")
	}
	if n < last {
		link(n+1, "next")
		link(last, "last")
	}
	if n > 1 {
		link(1, "first")
	}
	if len(links) > 0 {
		r.header.Set("Link", strings.Join(links, ", "))
	}
	return all[min(len(all), (n-1)*size):min(len(all), n*size)]
}
