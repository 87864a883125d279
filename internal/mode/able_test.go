package mode

import (
	"context"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/input"
	"github.com/org/neon-tenants-action/internal/postgres"
)

type plain struct{ fleet.Source }

type pooling struct{ fleet.Source }

func (*pooling) PooledURL(context.Context, fleet.Tenant) (fleet.Secret, error) {
	return fleet.Secret{}, nil
}

func TestAble(t *testing.T) {
	definition, err := input.ParseDefinition([]byte("inputs:\n  pooled: {description: x}\n"))
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[string]fleet.Source{"b": (*pooling)(nil), "a": (*pooling)(nil), "c": (*plain)(nil)}
	for name, c := range map[string]struct {
		source  fleet.Source
		ok      bool
		mistake string
	}{
		"able":      {&pooling{}, true, ""},
		"unable":    {&plain{}, false, "pooled: it cannot; leave it out, or use tenant-source: a or b"},
		"no source": {nil, false, ""},
	} {
		in, err := input.New(definition, nil, func(string) (string, bool) { return "", false })
		if err != nil {
			t.Fatal(err)
		}
		p, ok := Able[fleet.Pooler](in, Env{Source: c.source, Kinds: kinds}, "pooled", "it cannot; leave it out")
		if ok != c.ok || (p != nil) != c.ok {
			t.Errorf("%s: %v, %v", name, p, ok)
		}
		if err := in.Err(); (err != nil) != (c.mistake != "") || err != nil &&
			!strings.Contains(err.Error(), c.mistake) {
			t.Errorf("%s: got %v, want %q", name, err, c.mistake)
		}
	}
}

func TestHaving(t *testing.T) {
	env := Env{Kinds: map[string]fleet.Source{"b": (*pooling)(nil), "a": (*pooling)(nil), "c": (*plain)(nil)}}
	if diff := cmp.Diff([]string{"a", "b"}, Having[fleet.Pooler](env)); diff != "" {
		t.Error(diff)
	}
	if names := Having[fleet.Orphans](env); names != nil {
		t.Errorf("got %q, want none", names)
	}
}

func TestRefuseCatalog(t *testing.T) {
	target, err := postgres.ParseTarget("postgresql://u:p@localhost:5433/control", false)
	if err != nil {
		t.Fatal(err)
	}
	for catalog, refused := range map[string]bool{
		"": false, "localhost:5433/control": true, "localhost:5432/control": false, "localhost:5433/acme": false,
	} {
		if err := RefuseCatalog(Env{Catalog: catalog}, target); (err != nil) != refused || err != nil &&
			fleet.Remedy(err) == "" {
			t.Errorf("catalog %q: %v", catalog, err)
		}
	}
}
