package backups

import (
	"strings"

	"github.com/org/neon-tenants-action/internal/fleet"
)

// Origin is where a tenant's data is. Parts that are unknown, or that the tenant does not have, are empty.
type Origin struct {
	Server   string `json:"server,omitempty"` // host:port; of a Neon project the host alone, which names the compute
	Database string `json:"database,omitempty"`
	Branch   string `json:"branch,omitempty"` // of a Neon project, as it was asked for; empty: the default branch
	Schema   string `json:"schema,omitempty"` // empty: the whole database
}

// Same reports whether two origins may be one: no part that both know differs. Two branches of a project are told apart
// by their computes' hosts even where neither was asked for by name. A whole database and a schema of it are not the
// same.
func (o Origin) Same(other Origin) bool {
	for _, part := range [][2]string{
		{o.Server, other.Server}, {o.Database, other.Database}, {o.Branch, other.Branch},
	} {
		if part[0] != "" && part[1] != "" && part[0] != part[1] {
			return false
		}
	}
	return o.Schema == other.Schema
}

// String names the origin for people: server/database, then schema and branch.
func (o Origin) String() string {
	var parts []string
	if place := strings.Trim(o.Server+"/"+o.Database, "/"); place != "" {
		parts = append(parts, place)
	}
	if o.Schema != "" {
		parts = append(parts, "schema "+o.Schema)
	}
	if o.Branch != "" {
		parts = append(parts, "branch "+o.Branch)
	}
	if len(parts) == 0 {
		return "an unknown place"
	}
	return strings.Join(parts, ", ")
}

// The names of an origin's parts in an object's metadata, which tells whose a backup without a manifest is.
const (
	metaTenant   = "tenant-id"
	metaName     = "tenant-name" // for people
	metaServer   = "origin-server"
	metaDatabase = "origin-database"
	metaBranch   = "origin-branch"
	metaSchema   = "origin-schema"
)

// A store has 2 KB for an object's metadata, in which each byte of a letter that is not ASCII takes three. These are
// the parts that can be long: a row of a catalog may have any text for an id.
const (
	longestID   = 300 // bytes
	longestName = 90
)

// Metadata returns what an object's metadata says about the tenant whose backup it is. It has the beginning of a long
// name, and no long id, which only a whole one would tell from another's.
func Metadata(t fleet.Tenant, o Origin) map[string]string {
	data := map[string]string{metaName: strings.ToValidUTF8(t.Name[:min(len(t.Name), longestName)], "")}
	if len(t.ID) <= longestID {
		data[metaTenant] = t.ID
	}
	for name, part := range map[string]string{
		metaServer: o.Server, metaDatabase: o.Database, metaBranch: o.Branch, metaSchema: o.Schema,
	} {
		if part != "" {
			data[name] = part
		}
	}
	return data
}

// fromMetadata reads what [Metadata] returned.
func fromMetadata(data map[string]string) (tenantID string, o Origin) {
	return data[metaTenant], Origin{
		Server: data[metaServer], Database: data[metaDatabase], Branch: data[metaBranch], Schema: data[metaSchema],
	}
}
