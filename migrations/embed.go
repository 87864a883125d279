// Package migrations carries the catalog's own migration files inside the program.
package migrations

import "embed"

// Catalog holds catalog/*.sql, which bring a catalog database to the schema that this version of the program records into.
//
//go:embed catalog/*.sql
var Catalog embed.FS
