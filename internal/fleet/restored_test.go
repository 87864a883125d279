package fleet

import (
	"testing"
	"time"
)

func TestRestoredNames(t *testing.T) {
	at := time.Date(2026, 11, 27, 3, 15, 0, 0, time.FixedZone("", 3600))
	name := RestoredName("Payroll Inc", at, at.Add(time.Hour))
	if name != "Payroll Inc restored 20261127-021500-at-20261127-031500" || !IsRestored(name) {
		t.Error(name)
	}
	for _, name := range []string{"", "Payroll Inc", "Payroll Inc restored", "restored 20261127-021500",
		name + " kept", "Payroll Inc restored 20261127-021500", "Restored Furniture 20261127"} {
		if IsRestored(name) {
			t.Errorf("%q is taken for a restore's", name)
		}
	}
}
