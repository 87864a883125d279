package secretsync

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/github"
	"github.com/org/neon-tenants-action/internal/secrets"
)

var (
	repository = github.Scope{Repository: "acme/app"}
	keyring    = secrets.NewKeyring("napi_0123456789", repository.String())
	lastSync   = time.Unix(1_700_000_000, 0)
)

// template is the default of secret-name: acme's secret is ACME_DATABASE_URL.
func template(t *testing.T) secrets.Template {
	t.Helper()
	parsed, err := secrets.ParseTemplate("{TENANT}_DATABASE_URL")
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

// listedAt is what GitHub lists after the last sync.
func listedAt(at time.Time, names ...string) map[string]time.Time {
	listed := map[string]time.Time{}
	for _, name := range names {
		listed[name] = at
	}
	return listed
}

// others are n secrets that are nobody's here, and these.
func others(n int, names ...string) map[string]time.Time {
	for i := range n {
		names = append(names, fmt.Sprintf("OTHER_%d", i))
	}
	return listedAt(lastSync, names...)
}

// wrote is what is known after the last sync wrote these secrets, values by name, and no bundle.
func wrote(values map[string]string) past {
	state := secrets.State{Secrets: map[secrets.Print]secrets.Record{}, Members: map[secrets.Print]secrets.Member{}}
	for name, value := range values {
		state.Secrets[keyring.Name(name)] = secrets.Record{Value: keyring.Value(name, value), Updated: lastSync.Unix()}
	}
	return past{keys: keyring, known: true, state: state}
}

// wroteNames is [wrote] where values don't matter.
func wroteNames(names ...string) past {
	values := map[string]string{}
	for _, name := range names {
		values[name] = "v"
	}
	return wrote(values)
}

// unknown is what is known where no state was found.
func unknown() past { return past{keys: keyring} }

// fails checks an error's message and remedy. An empty message means no error.
func fails(t *testing.T, err error, message, remedy string) {
	t.Helper()
	switch {
	case message == "" && err != nil:
		t.Errorf("unexpected error: %v", err)
	case message != "" && (err == nil || !strings.Contains(err.Error(), message)):
		t.Errorf("got the error %v, want %q", err, message)
	case !strings.Contains(fleet.Remedy(err), remedy):
		t.Errorf("the remedy of %v is %q, want %q", err, fleet.Remedy(err), remedy)
	}
}

func TestSecretOfATenant(t *testing.T) {
	const name, value = "ACME_DATABASE_URL", "postgresql://one"
	later := lastSync.Add(time.Second)
	for what, c := range map[string]struct {
		listed map[string]time.Time
		past   past
		want   string
	}{
		"there is none":               {nil, wroteNames(), created},
		"there is none any more":      {nil, wrote(map[string]string{name: value}), created},
		"as the last sync left it":    {listedAt(lastSync, name), wrote(map[string]string{name: value}), unchanged},
		"a new password":              {listedAt(lastSync, name), wrote(map[string]string{name: "old"}), updated},
		"edited since":                {listedAt(later, name), wrote(map[string]string{name: value}), updated},
		"somebody else's":             {listedAt(lastSync, name), wroteNames("OTHER"), updated},
		"the state is lost":           {listedAt(lastSync, name), unknown(), updated},
		"nothing is ever remembered":  {listedAt(lastSync, name), past{}, updated},
		"nothing there or remembered": {nil, past{}, created},
	} {
		t.Run(what, func(t *testing.T) {
			p, err := newPlan(settings{template: template(t)}, situation{
				scope: repository, listed: c.listed, past: c.past, tenants: []string{"acme"}, all: []string{"acme"}, whole: true,
			})
			if err != nil {
				t.Fatal(err)
			}
			if got, change := p.secret("acme", value); got != name || change != c.want {
				t.Errorf("got %s %s, want %s %s", got, change, name, c.want)
			}
		})
	}
}

func TestPlansThatAreRefused(t *testing.T) {
	for what, c := range map[string]struct {
		in              settings
		at              situation
		message, remedy string
	}{
		"room for the last one": {at: situation{tenants: []string{"acme"}, listed: others(99)}},
		"room for none": {
			at:      situation{tenants: []string{"acme", "globex"}, listed: others(99)},
			message: "repository acme/app would have 101 secrets, and GitHub allows 100: it has 99 now, and 2 would be added",
			remedy:  "secret-layout: bundle",
		},
		"full, but nothing is added": {at: situation{
			tenants: []string{"acme"}, listed: others(99, "ACME_DATABASE_URL"),
		}},
		"two tenants, one name": {
			at:      situation{tenants: []string{"a-b", "a_b"}},
			message: "secret-name {TENANT}_DATABASE_URL: the tenants a-b and a_b would share the secret A_B_DATABASE_URL",
			remedy:  "tenant-key: id",
		},
		"names that GitHub refuses, and one that is too long, stop nobody": {
			at: situation{tenants: []string{"9-lives", "github-fans", strings.Repeat("a", 300)}},
		},
		"too many to prune": {
			in: settings{prune: true},
			at: situation{all: []string{"acme"}, whole: true,
				listed: listedAt(lastSync, "ACME_DATABASE_URL", "GONE_DATABASE_URL"),
				past:   wroteNames("ACME_DATABASE_URL", "GONE_DATABASE_URL")},
			message: "max-prune is 0",
		},
		"names don't matter with bundles": {in: settings{bundled: true},
			at: situation{tenants: []string{"a-b", "a_b", "7-eleven"}}},
		"a part of the tenants, bundles that nothing is known about": {
			in:      settings{bundled: true},
			at:      situation{tenants: []string{"acme"}, listed: listedAt(lastSync, "NEON_TENANTS_BUNDLE_1"), past: unknown()},
			message: "NEON_TENANTS_BUNDLE_1 exists, and it is not known which tenants it holds",
			remedy:  "over all tenants",
		},
	} {
		t.Run(what, func(t *testing.T) {
			c.in.template, c.at.scope = template(t), repository
			p, err := newPlan(c.in, c.at)
			fails(t, err, c.message, c.remedy)
			if (p == nil) != (err != nil) {
				t.Errorf("got the plan %v with the error %v", p, err)
			}
		})
	}
}

func TestCertainWrites(t *testing.T) {
	at := situation{
		scope: repository, tenants: []string{"acme", "globex"}, listed: listedAt(lastSync, "ACME_DATABASE_URL"),
	}
	for what, c := range map[string]struct {
		past past
		want int
	}{
		"the state is known": {wroteNames("ACME_DATABASE_URL"), 1},
		"the state is lost":  {unknown(), 2},
	} {
		at.past = c.past
		p, err := newPlan(settings{template: template(t)}, at)
		if err != nil {
			t.Fatal(err)
		}
		if got := p.certainWrites(); got != c.want {
			t.Errorf("%s: %d, want %d", what, got, c.want)
		}
	}
}

func TestAdopted(t *testing.T) {
	written := []string{"C_DATABASE_URL", "OURS_DATABASE_URL", "NEW_DATABASE_URL", "A_DATABASE_URL"}
	at := situation{scope: repository, listed: listedAt(lastSync, "A_DATABASE_URL", "C_DATABASE_URL", "OURS_DATABASE_URL")}
	for what, c := range map[string]struct {
		past  past
		first bool
		want  []string
	}{
		"the state is known": {past: wroteNames("OURS_DATABASE_URL"), want: []string{"A_DATABASE_URL", "C_DATABASE_URL"}},
		"the state is lost":  {past: unknown()},
		"the first sync": {
			past: unknown(), first: true, want: []string{"A_DATABASE_URL", "C_DATABASE_URL", "OURS_DATABASE_URL"},
		},
	} {
		at.past = c.past
		if got := (&plan{situation: at}).adopted(written, c.first); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", what, got, c.want)
		}
	}
}

// equal reports a difference between what a plan says and what it should say.
func equal[T any](t *testing.T, what string, got, want T) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}
