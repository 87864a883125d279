// Package migrations embeds the catalog's own migration files in the program.
package migrations

import "embed"

// Catalog holds catalog/*.sql, which migrate a catalog database to the schema that this version of the program uses.
//
//go:embed catalog/*.sql
var Catalog embed.FS
