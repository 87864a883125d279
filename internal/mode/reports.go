package mode

import (
	"errors"
	"fmt"
	"os"

	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/input"
	"github.com/org/neon-tenants-action/internal/report"
)

// maxReport bounds a report file in bytes. That of 100,000 tenants is a tenth of it; a larger file was matched by
// mistake.
const maxReport = 1 << 30

// ReadReport reads one report file. Errors name it.
func ReadReport(f input.File) (report.NamedFile, error) {
	tenants := []report.TenantEntry{}
	file, err := ReadTenants(f, func(e report.TenantEntry) error {
		tenants = append(tenants, e)
		return nil
	})
	if err == nil {
		file.Tenants = tenants
	}
	return file, err
}

// ReadTenants is [ReadReport] for a caller that keeps little of each tenant: they are handed over one by one, and are
// not in the file that it returns. What each was given counts only if there is no error.
func ReadTenants(f input.File, each func(report.TenantEntry) error) (report.NamedFile, error) {
	file, err := readReport(f.Path, each)
	if err != nil {
		return report.NamedFile{}, fmt.Errorf("%s: %w", f.Name, err)
	}
	return report.NamedFile{Path: f.Name, File: file}, nil
}

func readReport(path string, each func(report.TenantEntry) error) (report.File, error) {
	file, err := os.Open(path)
	if err != nil {
		return report.File{}, err
	}
	defer func() { _ = file.Close() }()
	if info, err := file.Stat(); err == nil && info.Size() > maxReport {
		return report.File{}, fleet.WithRemedy(errors.New("it is too large to be a report file"),
			"check which files the glob matches")
	}
	return report.Read(file, each)
}
