package action

import (
	"strings"
	"testing"
)

func TestUnknownModeListsTheModes(t *testing.T) {
	want := `"migrat" is not a mode; the modes are ` + strings.Join(modeNames(), ", ")
	if _, err := modeNamed("migrat"); err == nil || err.Error() != want || !strings.Contains(want, "backup, ") {
		t.Errorf("got %v", err)
	}
}
