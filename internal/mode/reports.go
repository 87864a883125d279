package mode

import (
	"errors"
	"fmt"
	"os"

	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/input"
	"github.com/org/neon-tenants-action/internal/report"
)

// maxReport bounds a report file in bytes. That of 10,000 tenants is a hundredth of it; a larger file was matched by
// mistake.
const maxReport = 1 << 30

// ReadReport reads one report file. Errors name it.
func ReadReport(f input.File) (report.NamedFile, error) {
	info, err := os.Stat(f.Path)
	if err == nil && info.Size() > maxReport {
		err = fleet.WithRemedy(errors.New("it is too large to be a report file"), "check which files the glob matches")
	}
	var data []byte
	if err == nil {
		data, err = os.ReadFile(f.Path)
	}
	var file report.File
	if err == nil {
		file, err = report.Decode(data)
	}
	if err != nil {
		return report.NamedFile{}, fmt.Errorf("%s: %w", f.Name, err)
	}
	return report.NamedFile{Path: f.Name, File: file}, nil
}
