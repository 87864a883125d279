package backup

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/org/neon-tenants-action/internal/backups"
	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/input"
	"github.com/org/neon-tenants-action/internal/mode"
	"github.com/org/neon-tenants-action/internal/postgres"
)

// Chains is the source of mode verify-backups: whoever has backups in the bucket, even if the tenant was dropped long
// ago, and whoever the source of tenant-source lists, even if the tenant has no backup.
type Chains struct {
	store *mode.Store
	given fleet.Source // nil: the bucket alone

	chains map[string]backups.Chain // by the ids of the run's tenants
	listed map[string]bool          // ids that the given source lists
	odd    []string                 // backups that are in no chain
}

// What the source can do besides listing.
var (
	_ fleet.Locator  = (*Chains)(nil)
	_ fleet.Remnants = (*Chains)(nil)
	_ fleet.Searcher = (*Chains)(nil)
	_ fleet.Closer   = (*Chains)(nil)

	_ mode.CatalogReader = (*Chains)(nil)
)

// NewChains reads the inputs about the bucket. given is the source that the inputs ask for, nil if they ask for none.
func NewChains(in *input.Reader, given fleet.Source) fleet.Source {
	return &Chains{store: mode.ReadStore(in), given: given}
}

// ReadsFrom implements [mode.CatalogReader] for the given source.
func (c *Chains) ReadsFrom(t postgres.Target) bool {
	given, ok := c.given.(mode.CatalogReader)
	return ok && given.ReadsFrom(t)
}

// Tenants lists the tenants of the given source, and those of every other chain in the bucket.
func (c *Chains) Tenants(ctx context.Context) ([]fleet.Tenant, error) {
	var listed []fleet.Tenant
	var incomplete *fleet.IncompleteError
	if c.given != nil {
		var err error
		if listed, err = c.given.Tenants(ctx); err != nil && !errors.As(err, &incomplete) {
			return nil, err
		}
	}
	if err := c.store.Open(ctx, 1); err != nil {
		return nil, err
	}
	chains, odd, err := c.store.Chains(ctx)
	if err != nil {
		return nil, err
	}
	c.odd = odd
	var all []fleet.Tenant
	all, c.listed, c.chains = join(listed, chains)
	if incomplete != nil {
		return all, incomplete
	}
	return all, nil
}

// join joins the tenants that a source lists with the chains in a bucket. The newest chain of a listed tenant's id is
// that tenant's. Every other one gets a tenant of its own: that of its manifest, with as much added to name and id as
// makes them, and the keys made from them, unique.
func join(listed []fleet.Tenant, chains []backups.Chain) (
	all []fleet.Tenant, known map[string]bool, byID map[string]backups.Chain,
) {
	all, known, byID = slices.Clone(listed), map[string]bool{}, map[string]backups.Chain{}
	names, ids := map[string]bool{}, map[string]bool{}
	for _, t := range listed {
		known[t.ID], names[fleet.Slug(t.Name)], ids[fleet.IDKey(t.ID)] = true, true, true
	}
	newestFirst := slices.Clone(chains)
	slices.SortStableFunc(newestFirst, func(a, b backups.Chain) int { return b.Newest.Time.Compare(a.Newest.Time) })
	for _, c := range newestFirst {
		t := c.Newest.Manifest.Tenant
		if _, taken := byID[t.ID]; known[t.ID] && !taken {
			byID[t.ID] = c
			continue
		}
		t.Name = unique(t.Name, names, fleet.Slug, t.ID, c.Folder, c.Newest.Manifest.Origin.String())
		t.ID = unique(t.ID, ids, fleet.IDKey, c.Folder, c.Newest.Manifest.Origin.String())
		t.Key = ""
		all, byID[t.ID] = append(all, t), c
	}
	return all, known, byID
}

// unique returns the text with as many of the additions as make its key one that is not taken, and takes it.
func unique(text string, taken map[string]bool, key func(string) string, additions ...string) string {
	candidate := text
	for i := 0; taken[key(candidate)]; i++ {
		if i < len(additions) {
			candidate = fmt.Sprintf("%s (%s)", text, additions[i])
		} else {
			candidate = fmt.Sprintf("%s (%d)", text, i)
		}
	}
	taken[key(candidate)] = true
	return candidate
}

// URL fails: a drill has no business with a tenant's own database.
func (c *Chains) URL(context.Context, fleet.Tenant) (fleet.Secret, error) {
	return fleet.Secret{}, errors.New("a drill connects to no tenant")
}

// Place is where the given source says that a tenant lives.
func (c *Chains) Place(t fleet.Tenant) fleet.Place {
	if l, ok := c.given.(fleet.Locator); ok && c.listed[t.ID] {
		return l.Place(t)
	}
	return fleet.Place{}
}

// Remnant reports whether only the bucket knows the tenant.
func (c *Chains) Remnant(t fleet.Tenant) bool { return !c.listed[t.ID] }

// Searched says where the backups were looked for.
func (c *Chains) Searched() (looked, remedy string) {
	return fmt.Sprintf("looked for backups in s3://%s/%s", c.store.Name(), c.store.Folder("")),
		checkPlace
}

// checkPlace is the remedy for a bucket without backups.
const checkPlace = "check that s3-bucket and s3-prefix are those of the backup runs"

// Close closes the bucket and the given source.
func (c *Chains) Close() {
	c.store.Close()
	if closer, ok := c.given.(fleet.Closer); ok {
		closer.Close()
	}
}
