package branch

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"

	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/input"
	"github.com/org/neon-tenants-action/internal/mode"
	"github.com/org/neon-tenants-action/internal/postgres"
	"github.com/org/neon-tenants-action/internal/report"
)

// undoneRun is what the report files say about the run that is to be undone.
type undoneRun struct {
	id      string         // empty after a mistake
	changes []tenantChange // by the tenants' keys
	missing []string       // shards without a report
}

// tenantChange is what a run did to one tenant, in all its attempts and steps.
type tenantChange struct {
	tenant fleet.Tenant
	point  *mode.UndoPoint // made before the first change; nil if none was
	points map[string]bool // ids of all points that the reports tell of
	// applied are the versions that the run applied or recorded.
	applied map[string]bool
	doubts  []mode.InDoubt // versions that it may have applied or recorded besides
	untold  bool           // an attempt began with the tenant, and its report does not tell what it did
	after   string         // the highest version that it is known to have left
}

// readUndoneRun reads the report files. What they may not be is a mistake.
func readUndoneRun(in *input.Reader, env mode.Env) undoneRun {
	const name = "previous-report"
	if in.String("previous-report") == "" {
		in.Mistake(name, "is required here and is empty; write a glob for the report files of the migrate run to undo, such "+
			"as previous-report: reports/**/*.json")
		return undoneRun{}
	}
	var files []report.NamedFile
	var merged []string
	for _, f := range in.Files("previous-report") {
		var tenants []report.TenantEntry
		one, err := mode.ReadTenants(f, func(e report.TenantEntry) error {
			tenants = append(tenants, undoable(e))
			return nil
		})
		switch {
		case err != nil:
			in.Mistake(name, "%v; %s", err, cmp.Or(fleet.Remedy(err), "correct the glob"))
			return undoneRun{}
		case len(one.Merged) > 0:
			merged = append(merged, f.Name)
		default:
			one.Tenants = tenants
			files = append(files, one)
		}
	}
	if len(files) == 0 {
		if len(merged) > 0 {
			in.Mistake(name, "matches merged reports only, such as %s, which may leave out what an earlier attempt did; have "+
				"it match the files that report-file named in the jobs of the run", merged[0])
		}
		return undoneRun{}
	}
	run, err := undoneBy(files, in.String("tenant-source"))
	if err != nil {
		in.Mistake(name, "%v; %s", err, fleet.Remedy(err))
		return undoneRun{}
	}
	for _, f := range merged {
		env.Notice(f + " is a merged report and was left out; the files that it was made from count")
	}
	return run
}

// undoneBy joins the reports of one run. The error, with a remedy, says why they are not those of a run that can be
// undone.
func undoneBy(files []report.NamedFile, source string) (run undoneRun, err error) {
	const remedy = "have the glob match the files that report-file named in the jobs of one migrate run, and no others"
	for _, f := range files {
		switch {
		case f.Mode != "migrate":
			err = fmt.Errorf("%s is the report of a run of mode %s, and only mode migrate is undone", f.Path, f.Mode)
		case f.DryRun:
			err = fmt.Errorf("%s is the report of a dry run, which changed nothing", f.Path)
		case f.RunID == "":
			err = fmt.Errorf("%s has no run_id: the release that wrote it made no undo points", f.Path)
		case f.RunID != files[0].RunID:
			err = fmt.Errorf("the report files are of several runs: %s is of the run %s and %s of the run %s", files[0].Path,
				files[0].RunID, f.Path, f.RunID)
		case f.Source != source:
			err = fmt.Errorf("%s is of a run with tenant-source %s, and this one has %s", f.Path, f.Source, source)
		}
		if err != nil {
			return undoneRun{}, fleet.WithRemedy(err, remedy)
		}
	}
	run.id = files[0].RunID
	if run.missing, err = report.MissingShards(files); err != nil {
		return undoneRun{}, err
	}
	if run.changes, err = changesIn(files); err != nil {
		return undoneRun{}, fleet.WithRemedy(err, remedy)
	}
	hasPoint := func(c tenantChange) bool { return c.point != nil }
	if slices.ContainsFunc(run.changes, tenantChange.changed) && !slices.ContainsFunc(run.changes, hasPoint) {
		return undoneRun{}, fleet.WithRemedy(fmt.Errorf("the run %s changed tenants and made no undo points", run.id),
			"give the report of a run with undo-point: true; without one, take a tenant back with mode restore")
	}
	return run, nil
}

// migrated is what is read of a tenant's detail in the report of a migrate run.
type migrated struct {
	After    string   `json:"version_after"`
	Recorded []string `json:"recorded"` // files
	// RecordedVersions are those files' versions; releases that knew dbmate's files only left them out.
	RecordedVersions []string `json:"recorded_versions"`
	Applied          []struct {
		Version string `json:"version"`
	} `json:"applied"`
	UndoPoint *mode.UndoPoint `json:"undo_point"`
}

// undoable is what is kept of an entry: the state only of a tenant that was begun with and of which nothing is told.
// Nearly all of a large fleet tell of nothing to undo.
func undoable(e report.TenantEntry) report.TenantEntry {
	var d migrated
	told := e.Detail != nil
	if json.Unmarshal(e.Detail, &d) == nil && len(d.Applied)+len(d.Recorded) == 0 && d.UndoPoint == nil {
		e.Detail = nil
	}
	if told || e.State != fleet.Failed || e.StartedAt.IsZero() {
		e.State = ""
	}
	return report.TenantEntry{
		Name: e.Name, ID: e.ID, Key: e.Key, State: e.State, StartedAt: e.StartedAt, Detail: e.Detail,
	}
}

// changesIn returns what the run changed, by the tenants' keys.
func changesIn(files []report.NamedFile) ([]tenantChange, error) {
	entries := map[string][]report.TenantEntry{}
	for _, f := range files {
		for _, e := range f.Tenants {
			entries[e.ID] = append(entries[e.ID], e)
		}
	}
	var changes []tenantChange
	for _, some := range entries {
		slices.SortStableFunc(some, func(a, b report.TenantEntry) int { return a.StartedAt.Compare(b.StartedAt) })
		c := tenantChange{points: map[string]bool{}, applied: map[string]bool{}}
		for _, e := range some {
			if err := c.add(e); err != nil {
				return nil, fmt.Errorf("read what the run did to tenant %q: %w", e.Name, err)
			}
		}
		if c.changed() || c.untold {
			changes = append(changes, c)
		}
	}
	slices.SortFunc(changes, func(a, b tenantChange) int {
		return cmp.Or(cmp.Compare(a.tenant.Key, b.tenant.Key), cmp.Compare(a.tenant.ID, b.tenant.ID))
	})
	return changes, nil
}

var leadingDigits = regexp.MustCompile(`^\d+`)

// add adds what one attempt or step of the run did to the tenant, after the earlier ones.
func (c *tenantChange) add(e report.TenantEntry) error {
	c.tenant = fleet.Tenant{Name: e.Name, ID: e.ID, Key: e.Key}
	var d migrated
	if e.Detail == nil {
		c.untold = c.untold || e.State == fleet.Failed
		return nil
	}
	if err := json.Unmarshal(e.Detail, &d); err != nil {
		return err
	}
	if d.UndoPoint != nil {
		if d.UndoPoint.BranchID == "" || d.UndoPoint.Versions == "" {
			return errors.New("its undo_point lacks what an undo needs")
		}
		c.points[d.UndoPoint.BranchID] = true
		c.settle(*d.UndoPoint)
	}
	inDoubt := d.UndoPoint != nil && d.UndoPoint.InDoubt != nil
	if len(d.Applied)+len(d.Recorded) == 0 && !inDoubt {
		return nil
	}
	if !c.changed() {
		c.point = d.UndoPoint
	}
	if inDoubt {
		c.doubts = append(c.doubts, *d.UndoPoint.InDoubt)
	}
	for _, a := range d.Applied {
		c.applied[a.Version] = true
	}
	for i, file := range d.Recorded {
		version := leadingDigits.FindString(file)
		if len(d.RecordedVersions) == len(d.Recorded) {
			version = d.RecordedVersions[i]
		}
		c.applied[version] = true
	}
	c.after = d.After
	return nil
}

// changed reports whether the run changed the tenant, as far as is known, or may have.
func (c tenantChange) changed() bool { return len(c.applied)+len(c.doubts) > 0 }

// settle drops doubts that a later attempt's undo point settles: if it holds the versions of before the run, none of
// them was applied.
func (c *tenantChange) settle(later mode.UndoPoint) {
	if len(c.applied) == 0 && len(c.doubts) > 0 && !c.mayBePartial() && later.Versions == c.point.Versions {
		c.doubts = nil
	}
}

// mayBePartial reports whether the run may have left something that it did not record.
func (c *tenantChange) mayBePartial() bool {
	return slices.ContainsFunc(c.doubts, func(d mode.InDoubt) bool { return d.OutsideTransaction })
}

// state is how a tenant's recorded versions compare with what a run did.
type state int

const (
	asLeft   state = iota // those that the run left
	asBefore              // those of before the run
	another               // neither
)

// compare compares the versions that the tenant records now. Versions in doubt may be among them or not.
func (c tenantChange) compare(s postgres.Status) state {
	now := s.Versions
	if mode.HashVersions(s.Keys(now)) == c.point.Versions {
		return asBefore
	}
	before := maps.Clone(now)
	for v := range c.applied {
		if !now[v] {
			return another
		}
		delete(before, v)
	}
	for _, doubt := range c.doubts {
		recorded := 0
		for _, v := range doubt.Versions {
			if now[v] {
				recorded++
			}
			delete(before, v)
		}
		if recorded > 0 && recorded < len(doubt.Versions) {
			return another
		}
	}
	if mode.HashVersions(s.Keys(before)) == c.point.Versions {
		return asLeft
	}
	return another
}
