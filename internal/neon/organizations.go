package neon

import (
	"context"
	"fmt"
	"strings"
)

// Organization owns projects.
type Organization struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// OrgError is a key that does not tell which organization is meant: it can access none, or several.
type OrgError struct {
	Organizations []Organization
}

func (e *OrgError) Error() string {
	if len(e.Organizations) == 0 {
		return "the API key sees no organization"
	}
	names := make([]string, len(e.Organizations))
	for i, o := range e.Organizations {
		names[i] = fmt.Sprintf("%s (%s)", o.ID, o.Name)
	}
	return fmt.Sprintf("the API key sees %d organizations: %s", len(names), strings.Join(names, ", "))
}

// onlyOrganization returns the id of the only organization that the key can access, or an [*OrgError].
func (c *Client) onlyOrganization(ctx context.Context) (string, error) {
	var out struct {
		Organizations []Organization `json:"organizations"`
	}
	if err := c.get(ctx, &out, nil, "/users/me/organizations"); err != nil {
		return "", fmt.Errorf("find the API key's organization: %w", err)
	}
	if len(out.Organizations) != 1 {
		return "", &OrgError{out.Organizations}
	}
	return out.Organizations[0].ID, nil
}
