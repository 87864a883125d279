package source

import (
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/neon"
	"github.com/org/neon-tenants-action/internal/remedies"
	"github.com/org/neon-tenants-action/internal/words"
)

// refusedSettings finds the settings that Neon means by words of its refusal.
var refusedSettings = []struct {
	word  string
	names []string
}{
	{"suspend", []string{"suspend_timeout_seconds"}},
	{"history", []string{"history_retention_seconds"}},
	{"autoscaling", []string{"autoscaling_limit_min_cu", "autoscaling_limit_max_cu"}},
	{"compute unit", []string{"autoscaling_limit_min_cu", "autoscaling_limit_max_cu"}},
	{"compute size", []string{"autoscaling_limit_min_cu", "autoscaling_limit_max_cu"}},
	{"quota", []string{
		"active_time_seconds", "compute_time_seconds", "written_data_bytes", "data_transfer_bytes", "logical_size_bytes",
	}},
}

// settingsRemedy is [changeRemedy] for a project that was to be created with the given settings, which the plan may not
// allow. A code about something that is exceeded is about what the account has and uses.
func settingsRemedy(err error, given []string) error {
	var e *neon.Error
	if errors.As(err, &e) && e.Status == http.StatusBadRequest && strings.Contains(e.Message, "region") &&
		strings.Contains(e.Message, "must be one of") {
		return fleet.WithRemedy(err, "set neon-region to one of these")
	}
	refusals := []int{http.StatusBadRequest, http.StatusPreconditionFailed, http.StatusUnprocessableEntity}
	if !errors.As(err, &e) || e.Method != http.MethodPost || strings.HasSuffix(e.Code, "_EXCEEDED") || len(given) == 0 ||
		!slices.Contains(refusals, e.Status) {
		return changeRemedy(err)
	}
	meant := meantSettings(e.Message, given)
	if len(meant) > 0 {
		return fleet.WithRemedy(err, "in neon-settings, change "+words.List(meant, 0)+" to what the account's plan allows, "+
			"or leave it out, which means Neon's default; or upgrade the plan")
	}
	if changed := changeRemedy(err); remedies.Of(changed) != "" {
		return changed
	}
	return fleet.WithRemedy(err, "compare neon-region, neon-pg-version and neon-settings ("+words.List(given, 0)+") with "+
		"what the message says and the account's plan allows")
}

// meantSettings returns those of the given settings that a refusal is about.
func meantSettings(message string, given []string) (meant []string) {
	message = strings.ToLower(message)
	for _, name := range given {
		named := strings.Contains(message, name)
		for _, refused := range refusedSettings {
			named = named || strings.Contains(message, refused.word) && slices.Contains(refused.names, name)
		}
		if named {
			meant = append(meant, name)
		}
	}
	return meant
}
