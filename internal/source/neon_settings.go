package source

import (
	"errors"
	"fmt"
	"io"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/org/neon-tenants-action/internal/neon"
	"github.com/org/neon-tenants-action/internal/words"
)

// setting is one thing that a project can be created with.
type setting struct {
	name    string // Neon's
	place   string // the objects that hold it in Neon's API, joined by points; empty: none
	must    string // what a value must be
	example string
	// set takes a number as it is written, and reports whether it is one that the setting can have.
	set func(s *neon.ProjectSettings, number string) bool
}

const (
	computePlace = "default_endpoint_settings"
	quotaPlace   = "settings.quota"
)

// Neon's documented limits as of 2026. What a plan allows within them, only Neon knows.
const (
	leastUnits, mostUnits = 0.25, 56
	mostRange             = 8 // units between the smallest and the largest size of a compute
	mostHistory           = 30 * 24 * 3600
	leastSuspend          = 60
	mostSuspend           = 7 * 24 * 3600
)

// neonSettings are the settings that can be given.
var neonSettings = []setting{
	unitsSetting("autoscaling_limit_min_cu", "0.25",
		func(s *neon.ProjectSettings) **float64 { return &s.Compute.MinUnits }),
	unitsSetting("autoscaling_limit_max_cu", "2",
		func(s *neon.ProjectSettings) **float64 { return &s.Compute.MaxUnits }),
	{
		"suspend_timeout_seconds", computePlace,
		"-1 (never), 0 (Neon's default) or a whole number of seconds from 60 to 604800 (a week)", "300",
		whole(func(s *neon.ProjectSettings) **int64 { return &s.Compute.SuspendSeconds }, func(n int64) bool {
			return n == -1 || n == 0 || n >= leastSuspend && n <= mostSuspend
		}),
	},
	{
		"history_retention_seconds", "", "a whole number of seconds from 0 to 2592000 (30 days)", "86400",
		whole(func(s *neon.ProjectSettings) **int64 { return &s.HistorySeconds }, func(n int64) bool {
			return n >= 0 && n <= mostHistory
		}),
	},
	quotaSetting("active_time_seconds", func(q *neon.ProjectQuota) **int64 { return &q.ActiveTimeSeconds }),
	quotaSetting("compute_time_seconds", func(q *neon.ProjectQuota) **int64 { return &q.ComputeTimeSeconds }),
	quotaSetting("written_data_bytes", func(q *neon.ProjectQuota) **int64 { return &q.WrittenDataBytes }),
	quotaSetting("data_transfer_bytes", func(q *neon.ProjectQuota) **int64 { return &q.DataTransferBytes }),
	quotaSetting("logical_size_bytes", func(q *neon.ProjectQuota) **int64 { return &q.LogicalSizeBytes }),
}

func unitsSetting(name, example string, field func(*neon.ProjectSettings) **float64) setting {
	return setting{name, computePlace, "a number of compute units from 0.25 to 56", example,
		func(s *neon.ProjectSettings, number string) bool {
			n, err := strconv.ParseFloat(number, 64)
			if err != nil || n < leastUnits || n > mostUnits {
				return false
			}
			*field(s) = &n
			return true
		}}
}

func quotaSetting(name string, field func(*neon.ProjectQuota) **int64) setting {
	example, unit := "3600", "seconds"
	if strings.HasSuffix(name, "_bytes") {
		example, unit = "10737418240", "bytes"
	}
	return setting{name, quotaPlace, "a whole number of " + unit + ", or 0 for no limit", example,
		whole(func(s *neon.ProjectSettings) **int64 { return field(&s.Settings.Quota) }, func(n int64) bool {
			return n >= 0
		})}
}

func whole(
	field func(*neon.ProjectSettings) **int64, allowed func(int64) bool,
) func(*neon.ProjectSettings, string) bool {
	return func(s *neon.ProjectSettings, number string) bool {
		n, err := strconv.ParseInt(number, 10, 64)
		if err != nil || !allowed(n) {
			return false
		}
		*field(s) = &n
		return true
	}
}

// settingNames are the settings' names.
func settingNames() []string {
	var names []string
	for _, s := range neonSettings {
		names = append(names, s.name)
	}
	return names
}

// settingsReader takes the settings out of a text, and notes everything that is wrong with it.
type settingsReader struct {
	settings neon.ProjectSettings
	given    []string // the settings' names
	mistakes []string
}

func (r *settingsReader) mistake(format string, args ...any) {
	r.mistakes = append(r.mistakes, fmt.Sprintf(format, args...))
}

// assignment is the beginning of a line that gives a setting. YAML has neither the equals sign nor a colon without a
// blank behind it, and people who write such lists by hand write both.
var assignment = regexp.MustCompile(`(?m)^( *[A-Za-z_]+) *[:=] *`)

// parseSettings reads settings: a JSON or YAML object with Neon's own nesting or without it, or a name and its value a
// line, NAME: VALUE or NAME=VALUE. Whoever reads JSON as YAML has one parser, which tells a repeated name.
func parseSettings(text string) *settingsReader {
	r := &settingsReader{}
	text = assignment.ReplaceAllString(strings.ReplaceAll(text, "\t", " "), "$1: ")
	decoder := yaml.NewDecoder(strings.NewReader(text))
	var document, more yaml.Node
	err := decoder.Decode(&document)
	if errors.Is(err, io.EOF) { // nothing but comments
		return r
	}
	if err == nil && !errors.Is(decoder.Decode(&more), io.EOF) {
		err = errors.New("text follows the settings")
	}
	if err == nil && (len(document.Content) != 1 || document.Content[0].Kind != yaml.MappingNode) {
		err = errors.New("it has no names with values")
	}
	if err != nil {
		r.mistake("cannot be read (%s); write one setting a line, such as suspend_timeout_seconds: 300, or a JSON object "+
			"such as {\"suspend_timeout_seconds\": 300}", strings.TrimPrefix(err.Error(), "yaml: "))
		return r
	}
	r.object(document.Content[0], "")
	r.checkRange()
	return r
}

// object reads the settings of an object of Neon's; place is where it is.
func (r *settingsReader) object(object *yaml.Node, place string) {
	for i := 0; i+1 < len(object.Content); i += 2 {
		name, value := object.Content[i].Value, object.Content[i+1]
		inner := strings.TrimPrefix(place+"."+name, ".")
		known := slices.IndexFunc(neonSettings, func(s setting) bool { return s.name == name })
		switch {
		case known >= 0:
			r.setting(&neonSettings[known], value, place)
		case !slices.Contains([]string{computePlace, "settings", quotaPlace, "quota"}, inner):
			r.mistake("%s", unknownSetting(name))
		case value.Kind != yaml.MappingNode:
			r.mistake("%s is %s, and must be an object with settings; write for example {%q: {…}}", inner, written(value), name)
		default:
			r.object(value, inner)
		}
	}
}

// setting reads one setting, found at a place.
func (r *settingsReader) setting(s *setting, value *yaml.Node, place string) {
	switch {
	case slices.Contains(r.given, s.name):
		r.mistake("%s is given twice; leave one of them out", s.name)
		return
	case place != "" && place != s.place && (place != "quota" || s.place != quotaPlace):
		where := "outside of every object"
		if s.place != "" {
			where = "in " + s.place + ", or outside of every object"
		}
		r.mistake("%s is in %s, where Neon's API does not have it; write it %s", s.name, place, where)
	case !plainNumber(value) || !s.set(&r.settings, value.Value):
		r.mistake("%s is %s, and must be %s; write for example %s: %s", s.name, written(value), s.must, s.name, s.example)
	}
	r.given = append(r.given, s.name)
}

// checkRange notes sizes that Neon does not scale between.
func (r *settingsReader) checkRange() {
	low, high := r.settings.Compute.MinUnits, r.settings.Compute.MaxUnits
	switch {
	case low == nil || high == nil:
	case *low > *high:
		r.mistake("autoscaling_limit_min_cu is %v and autoscaling_limit_max_cu is %v; write the smaller one as the "+
			"minimum, or the same number twice for a compute of one size", *low, *high)
	case *high-*low > mostRange:
		r.mistake("autoscaling_limit_max_cu is %v, and Neon scales by at most %d compute units from "+
			"autoscaling_limit_min_cu, which is %v; write at most %v, or raise the minimum to at least %v", *high, mostRange,
			*low, math.Min(*low+mostRange, mostUnits), *high-mostRange)
	}
}

// decimal is a number as JSON has it, without an exponent. YAML has others, such as 0x10, 010 and 1_000.
var decimal = regexp.MustCompile(`^-?(0|[1-9][0-9]*)(\.[0-9]+)?$`)

func plainNumber(value *yaml.Node) bool {
	return value.Kind == yaml.ScalarNode && (value.Tag == "!!int" || value.Tag == "!!float") &&
		decimal.MatchString(value.Value)
}

// written is a value as a mistake shows it.
func written(value *yaml.Node) string {
	switch {
	case value.Kind == yaml.MappingNode:
		return "an object"
	case value.Kind == yaml.SequenceNode:
		return "a list"
	case value.Kind != yaml.ScalarNode:
		return "a reference"
	case value.Tag == "!!null":
		return "empty"
	case value.Tag == "!!str":
		return fmt.Sprintf("the text %q", value.Value)
	}
	return value.Value
}

// unknownSetting says that there is no setting of the name, and which one may be meant.
func unknownSetting(name string) string {
	if near := words.Nearest(name, settingNames()); near != "" {
		return fmt.Sprintf("%q is not one of its names; did you mean %s?", name, near)
	}
	return fmt.Sprintf("%q is not one of its names; write some of %s", name, words.List(settingNames(), 0))
}
