package github

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/google/go-github/v66/github"
	"golang.org/x/crypto/nacl/box"
)

// PublicKey is what a scope's secrets are sealed with. GitHub may replace it at any time.
type PublicKey struct {
	ID  string
	key [32]byte
}

// SecretInfo is what GitHub tells about a secret: everything but its value.
type SecretInfo struct {
	Name      string // upper case
	CreatedAt time.Time
	UpdatedAt time.Time
	// Visibility is "all", "private" or "selected" in an organization, empty elsewhere.
	Visibility string
}

// PublicKey returns the scope's key.
func (c *Client) PublicKey(ctx context.Context, s Scope) (PublicKey, error) {
	if err := s.Check(); err != nil {
		return PublicKey{}, err
	}
	var answer github.PublicKey
	path := s.path("secrets") + "/public-key"
	if _, err := c.call(ctx, s.needs("secrets"), http.MethodGet, path, nil, &answer); err != nil {
		return PublicKey{}, err
	}
	raw, err := base64.StdEncoding.DecodeString(answer.GetKey())
	if err != nil || len(raw) != 32 || answer.GetKeyID() == "" {
		return PublicKey{}, unexpected(http.MethodGet, "/"+path, http.StatusOK,
			errors.New("the answer is not a public key of 32 bytes with an id"))
	}
	return PublicKey{ID: answer.GetKeyID(), key: [32]byte(raw)}, nil
}

// Secrets lists the scope's secrets, over all pages.
func (c *Client) Secrets(ctx context.Context, s Scope) ([]SecretInfo, error) {
	if err := s.Check(); err != nil {
		return nil, err
	}
	var all []SecretInfo
	err := pages(ctx, c, s.needs("secrets"), s.path("secrets"), func(page github.Secrets) {
		for _, secret := range page.Secrets {
			all = append(all, SecretInfo{Name: secret.Name, CreatedAt: secret.CreatedAt.Time,
				UpdatedAt: secret.UpdatedAt.Time, Visibility: secret.Visibility})
		}
	})
	return all, err
}

// sealed is the body of a write. With go-github's own type it could not say that no repository is selected.
type sealed struct {
	KeyID        string   `json:"key_id"`
	Value        string   `json:"encrypted_value"`
	Visibility   string   `json:"visibility,omitempty"`
	Repositories *[]int64 `json:"selected_repository_ids,omitempty"`
}

// PutSecret creates or updates a secret, and reports which; if an answer was lost, a created secret counts as
// updated. The value is sealed with key or, if GitHub has replaced that in the meantime, with the scope's new one. A
// secret of an organization whose visibility is "selected" keeps its repositories.
func (c *Client) PutSecret(ctx context.Context, s Scope, key PublicKey, name, value string) (created bool, err error) {
	if err := check(s, name); err != nil {
		return false, err
	}
	if len(value) > MaxValue {
		return false, fmt.Errorf("the value of the secret %s has %d bytes, and GitHub accepts %d", name, len(value), MaxValue)
	}
	var body sealed
	if s.Organization != "" {
		if body.Visibility, body.Repositories, err = c.audience(ctx, s, name); err != nil {
			return false, err
		}
	}
	c.mu.Lock()
	if newer, ok := c.renewed[s.path("secrets")+" "+key.ID]; ok {
		key = newer
	}
	c.mu.Unlock()
	created, err = c.put(ctx, s, key, name, value, body)
	if !IsStatus(err, http.StatusUnprocessableEntity) {
		return created, err
	}
	newer, again := c.PublicKey(ctx, s)
	if again != nil || newer.ID == key.ID {
		return false, err // the key was not the problem
	}
	c.mu.Lock()
	c.renewed[s.path("secrets")+" "+key.ID] = newer
	c.mu.Unlock()
	return c.put(ctx, s, newer, name, value, body)
}

func (c *Client) put(
	ctx context.Context, s Scope, key PublicKey, name, value string, body sealed,
) (created bool, err error) {
	box, err := box.SealAnonymous(nil, []byte(value), &key.key, rand.Reader)
	if err != nil {
		return false, fmt.Errorf("seal the secret %s: %w", name, err)
	}
	body.KeyID, body.Value = key.ID, base64.StdEncoding.EncodeToString(box)
	resp, err := c.call(ctx, s.needs("secrets"), http.MethodPut, s.path("secrets")+"/"+name, body, nil)
	if err != nil {
		return false, err
	}
	return resp.StatusCode == http.StatusCreated, nil
}

// audience returns who may read an organization's secret: its present repositories if its visibility is "selected",
// as a new value should not undo that choice, and otherwise what the scope says.
func (c *Client) audience(
	ctx context.Context, s Scope, name string,
) (visibility string, repositories *[]int64, err error) {
	var now github.Secret
	need, path := s.needs("secrets"), s.path("secrets")+"/"+name
	if _, err := c.call(ctx, need, http.MethodGet, path, nil, &now); err != nil && !IsStatus(err, http.StatusNotFound) {
		return "", nil, err
	}
	switch {
	case now.Visibility == "selected":
		ids, err := c.selected(ctx, need, path)
		return "selected", &ids, err
	case s.Visibility == "":
		return "private", nil, nil
	case s.Visibility != "selected":
		return s.Visibility, nil, nil
	}
	ids := []int64{}
	if s.Repository != "" {
		id, err := c.repositoryID(ctx, s.Repository)
		if err != nil {
			return "", nil, err
		}
		ids = append(ids, id)
	}
	return "selected", &ids, nil
}

// selected lists the repositories that may read an organization's secret.
func (c *Client) selected(ctx context.Context, need permission, path string) ([]int64, error) {
	ids := []int64{}
	err := pages(ctx, c, need, path+"/repositories", func(page github.SelectedReposList) {
		for _, r := range page.Repositories {
			ids = append(ids, r.GetID())
		}
	})
	return ids, err
}

// DeleteSecret deletes a secret. A secret that does not exist is no error.
func (c *Client) DeleteSecret(ctx context.Context, s Scope, name string) error {
	if err := check(s, name); err != nil {
		return err
	}
	_, err := c.call(ctx, s.needs("secrets"), http.MethodDelete, s.path("secrets")+"/"+name, nil, nil)
	if IsStatus(err, http.StatusNotFound) {
		return nil
	}
	return err
}
