package mode

import (
	"github.com/org/neon-tenants-action/internal/input"
	"github.com/org/neon-tenants-action/internal/migration"
)

// ReadMigrations loads the migration files in the directory that the input called name gives. It returns nil if the
// input is empty, or with a mistake if the directory or a file in it cannot be used.
func ReadMigrations(in *input.Reader, name string) *migration.Files {
	dir := in.Dir(name)
	if dir == "" {
		return nil
	}
	files, err := migration.Load(dir, in.String(name))
	if err != nil {
		in.Mistake(name, "%v", err)
	}
	return files
}
