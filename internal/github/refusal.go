package github

import (
	"encoding/json"
	"net/http"
	"strings"

	"github.com/org/neon-tenants-action/internal/httpx"
)

const signOnRemedy = "the organization requires single sign-on: authorize the token for it in GitHub's settings, " +
	"under Personal access tokens, Configure SSO"

// reasons are what GitHub's messages of a 403 or 451 name that no permission would change, in lower case, and what to
// do about it. Only the messages tell: the status is that of a missing permission.
var reasons = []struct{ sign, remedy string }{
	{"archived so is read-only", "the repository is archived, and no token may change it: unarchive it in its settings, " +
		"or name another repository"},
	{"saml enforcement", signOnRemedy},
	{"ip allow list", "the organization takes calls only from the addresses of its IP allow list: run the job on a " +
		"runner with a fixed address, and add that to the list in the organization's settings"},
	{"forbids access via", "the organization does not accept tokens of this kind, or of so long a life: create one that " +
		"fits its rules, which the message gives, or use a GitHub App's token"},
	{"repository access blocked", "GitHub has blocked the repository itself, and no token helps: open it in a browser " +
		"to see why, or name another repository"},
	{"issue is locked", "the pull request's conversation is locked: unlock it, or leave the comment out"},
	{"has been locked", "the repository is locked, usually while it is being moved: run again once that has ended, or " +
		"name another repository"},
	{"disabled", "something is switched off there, and no token helps: switch it on in the repository's or the " +
		"organization's settings (Actions, General), or name another repository"},
	{"suspended", "the account that owns the token, or the App's installation, is suspended: use another's token"},
	{"upgrade", "the plan does not include this for a private repository: raise it, or keep the secrets in the " +
		"repository itself instead of an environment"},
}

// reason returns the remedy for a refusal that is about something other than the token's permissions, "" if there is
// none.
func (e *Error) reason() string {
	if e.signOn {
		return signOnRemedy
	}
	if e.Status != http.StatusForbidden && e.Status != http.StatusUnavailableForLegalReasons {
		return ""
	}
	message := strings.ToLower(e.Message)
	for _, r := range reasons {
		if strings.Contains(message, r.sign) {
			return r.remedy
		}
	}
	if e.Status == http.StatusUnavailableForLegalReasons {
		return "GitHub may not give access to this for legal reasons, and no token helps: name another repository"
	}
	return ""
}

// Lacks is the permission that the token may lack, such as "Secrets: write"; empty if the call failed for something
// else.
func (e *Error) Lacks() string {
	if e.limited || e.reason() != "" || e.Status != http.StatusForbidden && e.Status != http.StatusNotFound {
		return ""
	}
	return e.need.name + ": " + e.need.level
}

// invalid is the remedy for a 422: GitHub understood the call and does not accept what it holds.
func (e *Error) invalid() string {
	if strings.Contains(strings.ToLower(e.Message), "limit of") {
		return "there is no room for another one: delete there what nobody needs, or keep many values in one"
	}
	return "GitHub does not accept what its message names: correct that where you gave it; if it is nothing of yours, " +
		"please report it with the message"
}

// refusal is the body of an answer that refuses.
type refusal struct {
	Message string
	// Errors is a list of texts or of objects, or one text.
	Errors json.RawMessage
}

// text puts a refusal into one sentence: the message, then what each error says of its field. A 422's message may be no
// more than "Validation Failed".
func (r refusal) text() string {
	var all []json.RawMessage
	if json.Unmarshal(r.Errors, &all) != nil && len(r.Errors) > 0 {
		all = []json.RawMessage{r.Errors}
	}
	var said []string
	for _, one := range all {
		if text := complaint(one); text != "" && !strings.Contains(r.Message, text) {
			said = append(said, text)
		}
	}
	text := strings.TrimRight(r.Message, ". \n")
	switch {
	case len(said) == 0:
		text = r.Message
	case text == "":
		text = strings.Join(said, "; ")
	default:
		text += ": " + strings.Join(said, "; ")
	}
	return httpx.Sentence(text)
}

// codes are GitHub's for what is wrong with a field, after which they are read here.
var codes = map[string]string{
	"missing": "does not exist", "missing_field": "is missing", "invalid": "is invalid",
	"already_exists": "exists already", "unprocessable": "is not accepted",
}

// complaint puts one error of a refusal into words: its own, else the field and GitHub's code for what is wrong with
// it.
func complaint(raw json.RawMessage) string {
	var text string
	if json.Unmarshal(raw, &text) == nil {
		return text
	}
	var e struct{ Resource, Field, Code, Message string }
	if json.Unmarshal(raw, &e) != nil {
		return ""
	}
	field := strings.Trim(e.Resource+"."+e.Field, ".")
	switch {
	case e.Message != "" && (field == "" || strings.Contains(e.Message, e.Field)):
		return e.Message
	case e.Message != "":
		return field + " " + e.Message
	case codes[e.Code] != "":
		return strings.TrimSpace(field + " " + codes[e.Code])
	}
	return strings.TrimLeft(field+": "+e.Code, ": ")
}
