package secrets

import (
	"strings"
	"testing"

	"github.com/org/neon-tenants-action/internal/fleet"
)

func TestParseTemplate(t *testing.T) {
	for text, want := range map[string]string{
		"{TENANT}_DATABASE_URL": "{TENANT}_DATABASE_URL", "db_{TENANT}": "DB_{TENANT}",
		"{TENANT}": "{TENANT}", "_{TENANT}": "_{TENANT}",
		"": "", "DATABASE_URL": "", "{TENANT}_{TENANT}": "", "{tenant}_URL": "", "{TENANT}-URL": "", "{TENANT} URL": "",
		"é{TENANT}": "", "1{TENANT}": "", "GITHUB_{TENANT}": "", "github_{TENANT}": "",
		"NEON_TENANTS_BUNDLE_{TENANT}": "",
	} {
		got, err := ParseTemplate(text)
		if (err == nil) != (want != "") || err == nil && got.String() != want {
			t.Errorf("%q: %v, %v, want %q", text, got, err, want)
		}
	}
}

func TestNames(t *testing.T) {
	template := func(text string) Template {
		parsed, err := ParseTemplate(text)
		if err != nil {
			t.Fatal(err)
		}
		return parsed
	}
	standard := template("{TENANT}_DATABASE_URL")
	for _, test := range []struct {
		template  Template
		key       string
		want      string
		forbidden string
	}{
		{standard, "acme-corp", "ACME_CORP_DATABASE_URL", ""},
		{template("db_{TENANT}"), "7-eleven", "DB_7_ELEVEN", ""},
		{standard, "9-lives", "_9_LIVES_DATABASE_URL", ""},
		{standard, "github-fans", "_GITHUB_FANS_DATABASE_URL", ""},
		{template("G{TENANT}"), "ithub-fans", "_GITHUB_FANS", ""},
		{template("_{TENANT}"), "9-lives", "_9_LIVES", ""},
		{template("{TENANT}"), "github", "GITHUB", ""},
		{template("{TENANT}"), "neon-tenants-bundle-3", "_NEON_TENANTS_BUNDLE_3", ""},
		{template("{TENANT}"), "neon-tenants-bundle-0", "NEON_TENANTS_BUNDLE_0", ""},
		{standard, strings.Repeat("a", 242), strings.Repeat("A", 242) + "_DATABASE_URL", ""},
		{standard, strings.Repeat("a", 243), "", "the limit is 255"},
		{standard, "Größe", "", "letters, digits and _ only"},
	} {
		name, err := test.template.Name(test.key)
		if name != test.want || (err == nil) != (test.forbidden == "") ||
			err != nil && !strings.Contains(err.Error(), test.forbidden) {
			t.Errorf("%s of %q: %q, %v", test.template, test.key, name, err)
		}
	}
	long := strings.Repeat("a", 300)
	names, nameless, err := standard.Names([]string{"ok", "9-lives", long, "github-fans"})
	if len(names) != 3 || len(nameless) != 1 || nameless[long] == nil || err != nil {
		t.Errorf("one name is too long: %v, %v, %v", names, nameless, err)
	}
	_, _, err = standard.Names([]string{"ok", "a-b", "a_b"})
	if err == nil || err.Error() != "the tenants a-b and a_b would share the secret A_B_DATABASE_URL" ||
		!strings.Contains(fleet.Remedy(err), "tenant-key: id") {
		t.Errorf("one name for two: %v (%s)", err, fleet.Remedy(err))
	}
}

func TestMatch(t *testing.T) {
	template, err := ParseTemplate("{TENANT}_DATABASE_URL")
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"ACME_CORP_DATABASE_URL": "acme-corp", "acme_corp_database_url": "acme-corp", "_DATABASE_URL": "",
		"DATABASE_URL": "", "___DATABASE_URL": "",
		"_9_LIVES_DATABASE_URL": "9-lives", "_github_fans_database_url": "github-fans", "9_LIVES_DATABASE_URL": "",
		"_ACME_DATABASE_URL": "acme",
		"NEON_API_KEY":       "", "github_token": "", "ACME_DATABASE_URL_OLD": "",
	} {
		if key, ok := template.Match(name); key != want || ok != (want != "") {
			t.Errorf("%s: %q, %t", name, key, ok)
		}
	}
	for name, want := range map[string]int{
		"NEON_TENANTS_BUNDLE_1": 1, "neon_tenants_bundle_12": 12, "NEON_TENANTS_BUNDLE_0": 0,
		"NEON_TENANTS_BUNDLE_01": 0, "NEON_TENANTS_BUNDLE_": 0,
		"NEON_TENANTS_BUNDLE_9999999": 0, "X_NEON_TENANTS_BUNDLE_1": 0,
	} {
		if n, ok := IsBundle(name); n != want || ok != (want > 0) {
			t.Errorf("%s: %d, %t", name, n, ok)
		}
	}
	if n, ok := IsBundle(BundleName(7)); n != 7 || !ok {
		t.Errorf("a bundle's own name is of bundle %d", n)
	}
}

// FuzzNames checks that GitHub accepts every name that is made, and that the name leads back to its tenant.
func FuzzNames(f *testing.F) {
	f.Add("{TENANT}_DATABASE_URL", "ACME Corp")
	f.Add("a{TENANT}1", "7-eleven")
	f.Add("{TENANT}", "github_x")
	f.Add("{TENANT}", "Neon Tenants Bundle 3")
	f.Add("NEON_{TENANT}_3", "tenants bundle")
	f.Add("G{TENANT}", "ithub fans")
	f.Add("_GITHUB_{TENANT}", "9 Lives")
	f.Add("_{TENANT}", "9 Lives")
	f.Fuzz(func(t *testing.T, template, tenant string) {
		parsed, err := ParseTemplate(template)
		key := fleet.Slug(tenant)
		if err != nil || key == "" {
			return
		}
		name, err := parsed.Name(key)
		if err != nil {
			return
		}
		if !secretForm.MatchString(name) || forbidden(name) {
			t.Errorf("%q of %q is no secret's name", name, tenant)
		}
		if back, ok := parsed.Match(name); !ok || back != key {
			t.Errorf("%q leads back to %q, not to %q", name, back, key)
		}
	})
}
