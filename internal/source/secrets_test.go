package source

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/input"
)

var secretsInputs = &input.Definition{Inputs: []input.Field{{Name: "tenant-secrets"},
	{Name: "secret-name", Default: "{TENANT}_DATABASE_URL"}}}

func readSecrets(t *testing.T, inputs map[string]string) (*input.Reader, *Secrets) {
	t.Helper()
	in, s, _ := readSecretsFrom(t, inputs, nil)
	return in, s
}

func readSecretsFrom(
	t *testing.T, inputs, environment map[string]string,
) (in *input.Reader, s *Secrets, warnings []string) {
	t.Helper()
	var args []string
	for name, value := range inputs {
		args = append(args, "--"+name, value)
	}
	in, err := input.New(secretsInputs, args, func(name string) (string, bool) {
		value, ok := environment[name]
		return value, ok
	})
	if err != nil {
		t.Fatal(err)
	}
	s = newSecrets(in, Options{Warn: func(text string) { warnings = append(warnings, text) }}).(*Secrets)
	return in, s, warnings
}

// namesIn returns the names of the source's tenants.
func namesIn(t *testing.T, s *Secrets) (names []string) {
	t.Helper()
	tenants, err := s.Tenants(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, tenant := range tenants {
		names = append(names, tenant.Name)
	}
	return names
}

func TestSecretsAreTenants(t *testing.T) {
	in, s := readSecrets(t, map[string]string{"tenant-secrets": `{
		"github_token": "ghs_0123456789", "NEON_API_KEY": "napi_0123456789", "DATABASE_URL": "postgresql://app:app-pw@h/app",
		"PAYROLL_INC_DATABASE_URL": "postgresql://u:payroll-pw@h/d",
		"LEGACY_DATABASE_URL": "mysql://u:legacy-pw@h/d",
		"NEON_TENANTS_BUNDLE_1": "{\"acme-corp\":\"postgres://u:acme-pw@h/d\",` +
		`\"payroll-inc\":\"postgresql://u:payroll-pw@h/d\",\"no-password\":\"postgresql://u@h/d\"}",
		"NEON_TENANTS_BUNDLE_2": "{}"}`})
	if err := in.Err(); err != nil {
		t.Fatal(err)
	}
	tenants, err := s.Tenants(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var want []fleet.Tenant
	for _, name := range []string{"acme-corp", "legacy", "no-password", "payroll-inc"} {
		want = append(want, fleet.Tenant{Name: name, ID: name})
	}
	if diff := cmp.Diff(want, tenants); diff != "" {
		t.Errorf("tenants (-want +got):\n%s", diff)
	}
	url := func(name string) (string, error) {
		secret, err := s.URL(t.Context(), fleet.Tenant{Name: name, ID: name})
		return secret.Reveal(), err
	}
	if u, err := url("acme-corp"); u != "postgres://u:acme-pw@h/d" || err != nil {
		t.Errorf("%s, %v", u, err)
	}
	if u, err := url("no-password"); u != "postgresql://u@h/d" || err != nil {
		t.Errorf("%s, %v", u, err)
	}
	_, err = url("legacy")
	if err == nil || !strings.Contains(err.Error(), "LEGACY_DATABASE_URL is not a Postgres URL") ||
		strings.Contains(err.Error(), "legacy-pw") || !strings.Contains(fleet.Remedy(err), "'!legacy'") {
		t.Errorf("not a Postgres URL: %v (%s)", err, fleet.Remedy(err))
	}
	// What is resolved is masked, and not thousands of secrets that a run does not use.
	if n := len(in.Secrets()); n > 0 {
		t.Errorf("%d secrets are masked before any is resolved", n)
	}
}

// A line break at the end of a pasted secret is no part of it.
func TestSecretsAreTrimmed(t *testing.T) {
	in, s := readSecrets(t, map[string]string{
		"tenant-secrets": `{"ACME_DATABASE_URL": "postgres://u:p@h/db\n", ` +
			`"NEON_TENANTS_BUNDLE_1": "{\"acme\":\" postgres://u:p@h/db\"}"}`,
	})
	if err := in.Err(); err != nil {
		t.Fatal(err)
	}
	if url, err := s.URL(t.Context(), fleet.Tenant{Name: "acme", ID: "acme"}); err != nil ||
		url.Reveal() != "postgres://u:p@h/db" {
		t.Errorf("%q, %v", url.Reveal(), err)
	}
}

// A password that is stored as it is gets the remedy that helps: stored again, it would be refused again.
func TestSecretsWithRawCharacters(t *testing.T) {
	for value, want := range map[string]string{
		"postgres://u:hu#sh@h/db": "# is %23", "postgres://u:hu%sh@h/db": "% is %25", "postgres://u:hu/sh@h/db": "/ is %2F",
		"postgres://u:hu?sh@h/db": "? is %3F", "postgres://u:hu[sh@h/db": "[ is %5B", "postgres://u:hu^sh@h/db": "^ is %5E",
		"DATABASE_URL=postgres://u:hush@h/db": "give it in the form", "postgres://u:hush@h:port/db": "store it again as",
	} {
		_, s := readSecrets(t, map[string]string{"tenant-secrets": `{"ACME_DATABASE_URL": "` + value + `"}`})
		_, err := s.URL(t.Context(), fleet.Tenant{Name: "acme", ID: "acme"})
		if err == nil || !strings.Contains(err.Error(), "is not a Postgres URL") || strings.Contains(err.Error(), "sh") ||
			!strings.Contains(fleet.Remedy(err), want) || !strings.HasSuffix(fleet.Remedy(err), "tenants: '!acme'") {
			t.Errorf("%s: %v (%s)", value, err, fleet.Remedy(err))
		}
	}
}

// One bundle may be passed as it is. An entry that is merely named like a member is nobody's tenant: an object that
// somebody wrote by hand has other keys too.
func TestABundleByItselfHoldsTenants(t *testing.T) {
	for given, want := range map[string][]string{
		`{"acme-corp":"postgresql://u:p1@h/d","globex":"postgresql://u:p2@h/d\n","n":1}`:   {"acme-corp", "globex"},
		`{"deploykey":"hush","npm-token":"npm_hush","ACME_DATABASE_URL":"postgres://h/d"}`: {"acme"},
		`{"reporting":"postgresql://u:p1@h/d","ACME_DATABASE_URL":"postgresql://u:p@h/d"}`: {"acme"},
		`{"acme-corp":"postgresql://u:p1@h/d","deploykey":"hush"}`:                         nil,
		`{"acme-corp":"postgresql://u:p1@h/d","github_token":"ghs_hush"}`:                  nil,
	} {
		in, s := readSecrets(t, map[string]string{"tenant-secrets": given})
		if names := namesIn(t, s); in.Err() != nil || !slices.Equal(names, want) {
			t.Errorf("%s: %v, %v", given, names, in.Err())
		}
	}
}

// Bundles are taken from the environment too, where each has room of its own.
func TestBundlesOfTheEnvironment(t *testing.T) {
	const acme, globex = "postgresql://u:p-acme@h/d", "postgresql://u:p-globex@h/d"
	for name, test := range map[string]struct {
		secrets     string
		environment map[string]string
		tenants     []string
		warns       []string
		mistake     string
	}{
		"alone": {
			environment: map[string]string{
				"NEON_TENANTS_BUNDLE_1": `{"acme":"` + acme + `"}`, "NEON_TENANTS_BUNDLE_12": `{"globex":"` + globex + `"}`,
				"NEON_TENANTS_BUNDLE_X": "hush", "GLOBEX_DATABASE_URL": "postgresql://u:hush@h/d",
			},
			tenants: []string{"acme", "globex"},
		},
		"beside secrets, one value twice": {
			secrets: `{"ACME_DATABASE_URL":"` + acme + `","INITECH_DATABASE_URL":"postgresql://u:p@h/d"}`,
			environment: map[string]string{
				"NEON_TENANTS_BUNDLE_1": `{"acme":"` + acme + `","globex":"` + globex + `"}`,
			},
			tenants: []string{"acme", "globex", "initech"},
		},
		"the same bundle twice": {
			secrets:     `{"NEON_TENANTS_BUNDLE_1":"{\"acme\":\"` + acme + `\"}"}`,
			environment: map[string]string{"NEON_TENANTS_BUNDLE_1": `{"acme":"` + acme + `"}`},
			tenants:     []string{"acme"},
		},
		"two values": {
			secrets:     `{"ACME_DATABASE_URL":"` + acme + `"}`,
			environment: map[string]string{"NEON_TENANTS_BUNDLE_2": `{"acme":"` + globex + `"}`},
			mistake: "NEON_TENANTS_BUNDLE_2 of the environment (member acme) and ACME_DATABASE_URL hold different connection " +
				"strings for one tenant, acme",
		},
		"two values in two bundles": {
			environment: map[string]string{
				"NEON_TENANTS_BUNDLE_1": `{"acme":"` + acme + `"}`, "NEON_TENANTS_BUNDLE_2": `{"acme":"` + globex + `"}`,
			},
			mistake: "NEON_TENANTS_BUNDLE_1 of the environment (member acme) and NEON_TENANTS_BUNDLE_2 of the environment",
		},
		"one that does not exist": {
			environment: map[string]string{
				"NEON_TENANTS_BUNDLE_1": "", "NEON_TENANTS_BUNDLE_2": `{"acme":"` + acme + `"}`, "NEON_TENANTS_BUNDLE_3": " ",
			},
			tenants: []string{"acme"},
			warns:   []string{"NEON_TENANTS_BUNDLE_1, NEON_TENANTS_BUNDLE_3"},
		},
		"none that exists": {
			environment: map[string]string{"NEON_TENANTS_BUNDLE_1": ""},
			mistake:     "tenant-secrets: is required for tenant-source: secrets and is empty",
		},
		"a broken one": {
			environment: map[string]string{"NEON_TENANTS_BUNDLE_1": "hush-hush"},
			mistake: "NEON_TENANTS_BUNDLE_1: the bundle NEON_TENANTS_BUNDLE_1 of the environment is not a JSON object; " +
				"write it again with mode: sync-secrets",
		},
	} {
		t.Run(name, func(t *testing.T) {
			in, s, warnings := readSecretsFrom(t, map[string]string{"tenant-secrets": test.secrets}, test.environment)
			if err := in.Err(); test.mistake != "" || err != nil {
				if err == nil || test.mistake == "" || !strings.Contains(err.Error(), test.mistake) ||
					strings.Contains(err.Error(), "hush") {
					t.Errorf("%v, want %q", err, test.mistake)
				}
				return
			}
			if diff := cmp.Diff(test.tenants, namesIn(t, s)); diff != "" {
				t.Errorf("tenants (-want +got):\n%s", diff)
			}
			if len(warnings) != len(test.warns) {
				t.Errorf("warnings %q", warnings)
			}
			for i, want := range test.warns {
				if !strings.Contains(warnings[i], want) {
					t.Errorf("warns %q, want %q", warnings[i], want)
				}
			}
		})
	}
}

func TestSecretsMistakes(t *testing.T) {
	for name, test := range map[string]struct {
		inputs map[string]string
		says   []string
	}{
		"nothing": {map[string]string{}, []string{"tenant-secrets: is required", "toJSON(secrets)"}},
		"no object": {map[string]string{"tenant-secrets": `"hush-hush"`},
			[]string{"tenant-secrets: is not a JSON object"}},
		"a torn object": {map[string]string{"tenant-secrets": `{"A_DATABASE_URL": "hush-hush`},
			[]string{"tenant-secrets: is not a complete JSON object"}},
		"a broken bundle": {map[string]string{"tenant-secrets": `{"NEON_TENANTS_BUNDLE_3": "hush-hush"}`},
			[]string{"the bundle NEON_TENANTS_BUNDLE_3 is not a JSON object", "sync-secrets"}},
		"a bad template": {map[string]string{"tenant-secrets": `{}`, "secret-name": "DATABASE_URL"},
			[]string{"secret-name: ", "{TENANT}_DATABASE_URL"}},
		"two values": {
			map[string]string{
				"tenant-secrets": `{"ACME_CORP_DATABASE_URL":"postgresql://u:hush-hush@h/d",` +
					`"NEON_TENANTS_BUNDLE_1":"{\"acme-corp\":\"postgresql://u:hush-too@h/d\"}"}`},
			[]string{"ACME_CORP_DATABASE_URL and NEON_TENANTS_BUNDLE_1 (member acme-corp) hold different " +
				"connection strings for one tenant, acme-corp"}},
		"two bundles": {
			map[string]string{
				"tenant-secrets": `{"NEON_TENANTS_BUNDLE_1":"{\"a\":\"postgresql://u:hush-hush@h/d\"}",` +
					`"NEON_TENANTS_BUNDLE_2":"{\"a\":\"postgresql://u:hush-too@h/d\"}"}`},
			[]string{"NEON_TENANTS_BUNDLE_1 (member a) and NEON_TENANTS_BUNDLE_2 (member a)"}},
	} {
		in, _ := readSecrets(t, test.inputs)
		err := in.Err()
		if err == nil || strings.Contains(err.Error(), "hush") {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for _, text := range test.says {
			if !strings.Contains(err.Error(), text) {
				t.Errorf("%s does not say %q: %v", name, text, err)
			}
		}
	}
}
