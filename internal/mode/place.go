package mode

import (
	"context"

	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/postgres"
	"github.com/org/neon-tenants-action/internal/records"
)

// PlaceOf names the database of a tenant's record: where the tenant lives and the table of its versions. A tenant that
// is no Neon project is where its connection string leads, which its source has without a call. It is empty if that
// string cannot be used.
func (e Env) PlaceOf(ctx context.Context, t fleet.Tenant, table postgres.Ledger) string {
	var place fleet.Place
	if locator, ok := e.Source.(fleet.Locator); ok {
		place = locator.Place(t)
	}
	if schema := e.Schema(t); schema != "" {
		table = table.In(schema)
	}
	if place.NeonProjectID == "" {
		secret, err := e.Source.URL(ctx, t)
		if err != nil {
			return ""
		}
		target, err := e.parse(secret)
		if err != nil {
			return ""
		}
		place = fleet.Place{Server: target.Server(), Database: target.Database()}
	}
	return records.PlaceOf(place, table.String())
}
