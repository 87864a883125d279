package migrate

import (
	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/input"
	"github.com/org/neon-tenants-action/internal/mode"
)

// readSleepers reads the inputs about tenants that are left asleep.
func (m *migrator) readSleepers(in *input.Reader) {
	m.sleepers = mode.ReadSleepers(in, m.env, m.records)
	if m.sleepers != nil && m.files != nil {
		m.sleepers.Table, m.sleepers.Files = m.options.Table, m.written.key
	}
}

// leave returns the outcome of a tenant that is left asleep.
func (m *migrator) leave(t fleet.Tenant) (o fleet.Outcome, left bool) {
	record, left := m.sleepers.Left(t)
	if !left {
		return o, false
	}
	return m.sleepers.Outcome(Detail{
		Before: record.Version, After: record.Version, Applied: []Applied{}, Asleep: true, Record: &record,
	}), true
}
