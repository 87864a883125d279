package github

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/google/go-github/v66/github"
)

// Variable returns the value of an Actions variable and when it was last written. found is false if it does not
// exist, or if the token cannot see the scope.
func (c *Client) Variable(
	ctx context.Context, s Scope, name string,
) (value string, updatedAt time.Time, found bool, err error) {
	if err := check(s, name); err != nil {
		return "", time.Time{}, false, err
	}
	var answer github.ActionsVariable
	_, err = c.call(ctx, s.needs("variables"), http.MethodGet, s.path("variables")+"/"+name, nil, &answer)
	if IsStatus(err, http.StatusNotFound) {
		return "", time.Time{}, false, nil
	}
	if err != nil {
		return "", time.Time{}, false, err
	}
	return answer.Value, answer.GetUpdatedAt().Time, true, nil
}

// PutVariable creates or updates an Actions variable. exists says which to try first; if the variable was created or
// deleted in the meantime, it tries the other. An organization's private repositories may read its new variable.
func (c *Client) PutVariable(ctx context.Context, s Scope, name, value string, exists bool) error {
	if err := check(s, name); err != nil {
		return err
	}
	if len(value) > MaxValue {
		return fmt.Errorf("the value of the variable %s has %d bytes, and GitHub accepts %d", name, len(value), MaxValue)
	}
	update := func() error {
		_, err := c.call(ctx, s.needs("variables"), http.MethodPatch, s.path("variables")+"/"+name,
			&github.ActionsVariable{Name: name, Value: value}, nil)
		return err
	}
	create := func() error {
		body := &github.ActionsVariable{Name: name, Value: value}
		if s.Organization != "" {
			body.Visibility = github.String("private")
		}
		_, err := c.call(ctx, s.needs("variables"), http.MethodPost, s.path("variables"), body, nil)
		return err
	}
	first, second, missed := create, update, http.StatusConflict
	if exists {
		first, second, missed = update, create, http.StatusNotFound
	}
	if err := first(); !IsStatus(err, missed) {
		return err
	}
	return second()
}
