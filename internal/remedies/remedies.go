// Package remedies says what a user can do about the errors of the adapters for PostgreSQL and S3. Those adapters know
// no inputs: their errors tell causes and facts. The table of hints turns a cause into a remedy, which may name inputs.
//
// At its end, a run explains each tenant's error and its own. Code that needs a remedy before that, such as for a
// mistake in an input, asks [Of]. Sources, stores of backups, and jobs on which another mode builds explain their
// errors themselves, so that a mode may add to a remedy.
package remedies

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/org/neon-tenants-action/internal/bucket"
	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/migration"
	"github.com/org/neon-tenants-action/internal/pgdump"
	"github.com/org/neon-tenants-action/internal/postgres"
)

// Explain adds the remedy to an error of an adapter. It returns err itself if there is none, or if err has one already.
func Explain(err error) error {
	if err == nil {
		return nil
	}
	remedy := Of(err)
	if remedy == fleet.Remedy(err) {
		return err
	}
	return fleet.WithRemedy(err, remedy)
}

// Of returns the outermost remedy in err's tree, "" if there is none. For the adapters' errors it is that of the table,
// for others their own (see [fleet.Remedy]).
func Of(err error) string {
	remedy, _ := find(err)
	return remedy
}

// Sentence is an error and its remedy in one sentence, for a warning or a notice.
func Sentence(err error) string {
	if remedy := Of(err); remedy != "" {
		return err.Error() + "; " + remedy
	}
	return err.Error()
}

// remedied is an error that has its own remedy.
type remedied interface{ Remedy() string }

// find walks err's tree as errors.As does.
func find(err error) (remedy string, found bool) {
	for err != nil {
		if remedy, found = lookUp(err); found {
			return remedy, true
		}
		if r, ok := err.(remedied); ok {
			return r.Remedy(), true
		}
		switch u := err.(type) { //nolint:errorlint // one layer at a time
		case interface{ Unwrap() error }:
			err = u.Unwrap()
		case interface{ Unwrap() []error }:
			for _, inner := range u.Unwrap() {
				if remedy, found = find(inner); found {
					return remedy, true
				}
			}
			return "", false
		default:
			return "", false
		}
	}
	return "", false
}

// lookUp finds the hint for a single error, without those that it wraps, and fills in its facts.
func lookUp(err error) (remedy string, found bool) {
	about, facts := describe(err)
	if about == nil {
		return "", false
	}
	for _, h := range hints {
		if h.about == about {
			return strings.NewReplacer(facts...).Replace(h.remedy), true
		}
	}
	return "", false
}

// describe returns what the table is asked for, nil for an error that is none of the adapters', and the error's facts
// as pairs of a placeholder and its value.
func describe(err error) (about any, facts []string) {
	switch e := err.(type) { //nolint:errorlint // one layer at a time
	case *postgres.ConnectError:
		return e.Cause(), nil
	case *postgres.TransactionPoolerError:
		return (*postgres.TransactionPoolerError)(nil), nil
	case *postgres.PlaintextError:
		return (*postgres.PlaintextError)(nil), nil
	case *postgres.TableError:
		return e.Cause, []string{"{table}", e.Table.String(), "{quoted}", e.Table.Quoted(), "{name}", e.Table.Name}
	case *postgres.SearchPathError:
		return (*postgres.SearchPathError)(nil), nil
	case *postgres.MissingSchemaError:
		return (*postgres.MissingSchemaError)(nil), nil
	case *postgres.DependentsError:
		return (*postgres.DependentsError)(nil), nil
	case *postgres.MissingListError:
		return (*postgres.MissingListError)(nil), []string{"{table}", e.List.Table.Quoted()}
	case *migration.Error:
		return e.Cause(), []string{"{version}", e.Version, "{table}", e.Table, "{drop}", e.Drop()}
	case *migration.BaselineError:
		if e.Cause() == "" {
			return nil, nil // what it wraps may have one
		}
		return e.Cause(), nil
	case *migration.OrderError:
		return (*migration.OrderError)(nil), []string{"{version}", e.Highest}
	case *migration.SkippedError:
		return (*migration.SkippedError)(nil), []string{"{version}", e.Highest}
	case *migration.StrangersError:
		return (*migration.StrangersError)(nil), nil
	case *migration.BeginningError:
		return (*migration.BeginningError)(nil), nil
	case *migration.LockError:
		if e.Shared {
			return e.Cause(), nil
		}
		return (*migration.LockError)(nil), nil
	case *pgdump.ArgumentError:
		return e.Cause, nil
	case *pgdump.NoClientsError:
		all := strings.Trim(fmt.Sprint(append(slices.Clip(e.Found), e.Major)), "[]")
		return (*pgdump.NoClientsError)(nil), []string{"{major}", strconv.Itoa(e.Major), "{majors}", all}
	case *pgdump.ProgramError:
		return e.Cause(), nil
	case *pgdump.RestoreError:
		return e.Cause(), nil
	case *pgdump.BackupError:
		return cmp.Or(e.Cause, pgdump.UnusableBackup), []string{"{major}", strconv.Itoa(e.Major)}
	case *pgdump.NotEmptyError:
		return (*pgdump.NotEmptyError)(nil), nil
	case *bucket.Error:
		return e.Cause(), []string{"{region}", e.Region(), "{permission}", e.Permission(), "{audience}", e.Audience}
	}
	return nil, nil
}
