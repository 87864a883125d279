package migrate

import (
	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/input"
	"github.com/org/neon-tenants-action/internal/mode"
	"github.com/org/neon-tenants-action/internal/records"
)

// readSleepers reads the inputs about tenants that are left asleep.
func (m *migrator) readSleepers(in *input.Reader) {
	m.sleepers = mode.ReadSleepers(in, m.env, m.records)
	if m.sleepers != nil && m.files != nil {
		m.sleepers.Table, m.sleepers.Files = m.options.Table, m.written.key
	}
}

// leave returns the outcome of a tenant that is left asleep. Its record goes on with it.
func (m *migrator) leave(t fleet.Tenant) (o fleet.Outcome, left bool) {
	record, left := m.sleepers.Left(t)
	if !left {
		return o, false
	}
	applied := m.records.Book().Set(record.Applied)
	if m.changed.ignores() {
		record.Applied = m.written.key
	} else {
		m.written.add(record.Applied, applied)
		_, _ = m.checkChanged(t, applied, records.Seen{At: record.CurrentAt}) // under the rule fail nobody gets here
	}
	return m.sleepers.Outcome(Detail{
		Before: record.Version, After: record.Version, Applied: []Applied{}, Asleep: true, Record: &record,
	}), true
}
