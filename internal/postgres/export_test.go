package postgres

// For tests that run these queries within a transaction of their own.
func DependentsSQL(schema string) string { return of(schema, dependentsQuery) }
func GoingSQL(schema string) string {
	return of(schema, walk+` select distinct classid::bigint, objid::bigint, objsubid from going`)
}
func CascadeSQL(schema string) string { return cascade(schema) }
