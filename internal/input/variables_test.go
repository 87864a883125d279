package input

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestVariablesThatContradict(t *testing.T) {
	for want, env := range map[string]environment{
		"input api-key: INPUT_API-KEY and INPUT_API_KEY have different values; unset one of them": {
			"INPUT_API-KEY": "hush1", "INPUT_API_KEY": "hush2"},
		"input api-key: INPUT_API_KEY and NEON_TENANTS_API_KEY have different values; unset one of them": {
			"INPUT_API-KEY": "", "INPUT_API_KEY": "hush1", "NEON_TENANTS_API_KEY": "hush2"},
		"input api-key: INPUT_API-KEY and NEON_TENANTS_API_KEY have different values; unset one of them": {
			"INPUT_API-KEY": "hush1", "INPUT_API_KEY": "hush1 ", "NEON_TENANTS_API_KEY": "hush2"},
		"input mode: INPUT_MODE and NEON_TENANTS_MODE have different values; unset one of them": {
			"INPUT_MODE": "a", "NEON_TENANTS_MODE": "b"},
		"input dry-run: INPUT_DRY_RUN and NEON_TENANTS_DRY_RUN have different values; unset one of them": {
			"INPUT_DRY-RUN": "false", "INPUT_DRY_RUN": "true", "NEON_TENANTS_DRY_RUN": "false"},
	} {
		err := read(t, env).Err()
		if err == nil || err.Error() != want {
			t.Errorf("%v: %v", env, err)
		}
	}
}

// An expression that gives nothing stays a mistake where another variable gives something.
func TestGuardedVariables(t *testing.T) {
	for _, env := range []environment{
		{"INPUT_TENANTS": ""}, {"NEON_TENANTS_TENANTS": ""}, {"INPUT_TENANTS": " ", "NEON_TENANTS_TENANTS": "acme"},
	} {
		r := read(t, env)
		r.Guard("tenants")
		r.String("tenants")
		if err := r.Err(); err == nil || !strings.Contains(err.Error(), " is empty, as an expression that") {
			t.Errorf("%v: %v", env, err)
		}
		r = read(t, env, "--tenants=acme")
		r.Guard("tenants")
		if r.String("tenants") != "acme" || r.Err() != nil {
			t.Errorf("%v, with a flag: %v", env, r.Err())
		}
	}
}

func TestUnknownVariables(t *testing.T) {
	const (
		unset = "? Otherwise unset it"
		name  = "correct its name (inputs are NEON_TENANTS_ and the input's name with underscores), or unset it"
		take  = "? Otherwise take it out of the workflow"
		none  = ": there is no such input, of which GitHub only warns; "
	)
	own := []string{
		"variable NEON_TENANTS_APIKEY: belongs to no input; did you mean NEON_TENANTS_API_KEY" + unset,
		"variable NEON_TENANTS_REPORT-FILE: belongs to no input; did you mean NEON_TENANTS_REPORT_FILE" + unset,
		"variable NEON_TENANTS_: belongs to no input; " + name,
		"variable NEON_TENANTS_BUNDLE_X: belongs to no input; " + name,
	}
	ofTheRunner := []string{
		"dryrun" + none + "did you mean dry-run" + take,
		"tenant" + none + "did you mean tenants" + take,
		"x" + none + "take it out of the workflow, or correct its name; docs/inputs.md has them all",
	}
	for where, test := range map[string]struct {
		env  environment
		want []string
	}{
		"a shell": {nil, own},
		"Actions": {environment{"GITHUB_ACTIONS": "true"}, append(slices.Clone(own), ofTheRunner...)},
		"act":     {environment{"GITHUB_ACTIONS": "true", "ACT": "true"}, own},
	} {
		r := read(t, test.env)
		r.CheckVariables([]string{
			"NEON_TENANTS_API_KEY=x", "NEON_TENANTS_APIKEY=hush", "NEON_TENANTS_MODE", "NEON_TENANTS_REPORT-FILE=a",
			"NEON_TENANTS_=1", "NEON_API_KEY=hush", "neon_tenants_mode=a", "NEON_TENANTS_STATE=x=y",
			"NEON_TENANTS_TENANT= ", "NEON_TENANTS_BUNDLE_X=hush", "INPUT_DRYRUN=true", "INPUT_TENANT=acme", "INPUT_X=1",
			"INPUT_Y=", "INPUT_DRY-RUN=true", "INPUT_DRY_RUN=true", "INPUT_ARGS=a", "INPUT_ENTRYPOINT=/b", "INPUT_mode=a",
		}, func(name string) bool { return name == "NEON_TENANTS_STATE" })
		var e *Error
		if !errors.As(r.Err(), &e) {
			t.Fatalf("%s: %v", where, r.Err())
		}
		if diff := cmp.Diff(test.want, e.Mistakes); diff != "" {
			t.Errorf("%s (-want +got):\n%s", where, diff)
		}
	}
}

func TestSecretsAmongTheArguments(t *testing.T) {
	r := read(t, environment{"NEON_TENANTS_PATH": "x"}, "--api-key=hush", "--path", "b", "--mode", "a")
	if r.Exposed() != nil {
		t.Error("before anything is read")
	}
	r.String("mode")
	r.Secret("api-key")
	r.Confidential("path")
	if diff := cmp.Diff([]string{"api-key", "path"}, r.Exposed()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	r = read(t, environment{"NEON_TENANTS_API_KEY": "hush"})
	if r.Secret("api-key") != "hush" || r.Exposed() != nil || len(r.Secrets()) != 1 {
		t.Errorf("as a variable: %v, %v", r.Exposed(), r.Secrets())
	}
}

// Every input of the action has variables of its own, none of which means something else.
func TestVariablesOfTheAction(t *testing.T) {
	seen := map[string]string{}
	for _, f := range load(t, real).Inputs {
		for _, name := range variables(f.Name) {
			if other := seen[name]; other != "" {
				t.Errorf("%s is that of %s and of %s", name, other, f.Name)
			}
			seen[name] = f.Name
			if strings.HasPrefix(name, "NEON_TENANTS_BUNDLE_") || name == "NEON_TENANTS_STATE" {
				t.Errorf("%s means %s and something else", name, f.Name)
			}
		}
		if strings.Trim(Variable(f.Name), "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") != "" {
			t.Errorf("a shell cannot set %s", Variable(f.Name))
		}
	}
}
