package mode

import (
	"strings"
	"testing"
)

func TestUnknownModeListsTheModes(t *testing.T) {
	want := `"migrat" is not a mode; the modes are ` + strings.Join(Names(), ", ")
	if _, err := For("migrat"); err == nil || err.Error() != want || !strings.Contains(want, "backup, ") {
		t.Errorf("got %v", err)
	}
}
