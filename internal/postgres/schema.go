package postgres

import "fmt"

// MissingSchemaError is a tenant whose schema is not in the database.
type MissingSchemaError struct{ Schema string }

func (e *MissingSchemaError) Error() string {
	return fmt.Sprintf("the database has no schema %q", e.Schema)
}

// Remedy names the three ways out.
func (e *MissingSchemaError) Remedy() string {
	return "set create-missing: true to have it made, take it out of the tracker, or correct database-url where it names another database"
}
