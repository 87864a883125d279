package catalog_test

import (
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/org/neon-tenants-action/internal/catalog"
	"github.com/org/neon-tenants-action/internal/postgres"
	"github.com/org/neon-tenants-action/internal/postgres/pgtest"
	"github.com/org/neon-tenants-action/internal/records"
)

// noon is when a run began.
var noon = time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)

// project is a tenant that is the Neon project of that id, with its record.
func project(id string, r *records.Record) catalog.Entry {
	return catalog.Entry{
		Name: id, Key: id, Source: "neon", ID: id, NeonProjectID: id, SeenAt: noon, Facts: catalog.Facts{Record: r},
	}
}

// record writes the entries as those of a run that began so many minutes after noon.
func record(t *testing.T, c *catalog.Catalog, minutes int, sets records.Sets, entries ...catalog.Entry) {
	t.Helper()
	began := noon.Add(time.Duration(minutes) * time.Minute)
	run := catalog.Run{Mode: "migrate", Source: "neon", Started: began, Finished: began, Sets: sets}
	if err := c.Record(t.Context(), run, entries); err != nil {
		t.Fatal(err)
	}
}

func remember(t *testing.T, url string, entries ...catalog.Entry) *records.Book {
	t.Helper()
	target, err := postgres.ParseTarget(url, false)
	if err != nil {
		t.Fatal(err)
	}
	var book records.Book
	if err := catalog.Remember(t.Context(), target, postgres.Options{}, time.Minute, entries, &book); err != nil {
		t.Fatal(err)
	}
	return &book
}

func TestRemember(t *testing.T) {
	url := pgtest.Database(t)
	if _, ok := remember(t, url, project("a", nil)).Of("a"); ok {
		t.Error("an empty database remembers a tenant")
	}
	c := open(t, url)
	files := records.Set{"1": "one", "2": "two"}
	sets := records.Sets{}
	r := records.Record{
		Place: "neon a", CurrentAt: noon.Add(time.Second), Files: "f", Applied: sets.Add(files), Version: "2",
		Schema: &records.Schema{Checks: "c", Fingerprint: "p", FingerprintVersion: 1, Objects: 3, PostgresMajor: 17},
	}
	database := catalog.Entry{Name: "b", ID: "b", Source: "catalog", Database: "b", SeenAt: noon,
		Facts: catalog.Facts{Record: &r}}
	schema := catalog.Entry{Name: "s", ID: "s", Source: "schemas", SeenAt: noon, Facts: catalog.Facts{Record: &r}}
	record(t, c, 0, sets, project("a", &r), database, schema, project("unknown", nil))
	record(t, c, 0, sets, project("other", &r))

	book := remember(t, url, project("a", nil), database, schema, project("unknown", nil), project("none", nil))
	for id, known := range map[string]bool{"a": true, "b": true, "s": true, "unknown": false, "none": false,
		"other": false} {
		got, ok := book.Of(id)
		if ok != known || ok && !cmp.Equal(got, r) {
			t.Errorf("%s: %v %+v", id, ok, got)
		}
	}
	if diff := cmp.Diff(files, book.Set(r.Applied)); diff != "" {
		t.Errorf("the files (-want +got):\n%s", diff)
	}

	t.Run("the run that began last counts", func(t *testing.T) {
		later, earlier := r, r
		later.Version, earlier.Version = "later", "earlier"
		record(t, c, 20, nil, project("a", &later))
		record(t, c, 10, nil, project("a", &earlier))
		record(t, c, 30, nil, project("a", nil)) // a run that says nothing
		if got, _ := remember(t, url, project("a", nil)).Of("a"); got.Version != "later" {
			t.Errorf("%+v", got)
		}
		record(t, c, 40, nil, project("a", &records.Record{}))
		if got, ok := remember(t, url, project("a", nil)).Of("a"); got.Known() || !ok {
			t.Errorf("after it was cleared: %v %+v", ok, got)
		}
		record(t, c, 35, nil, project("a", &later))
		if got, _ := remember(t, url, project("a", nil)).Of("a"); got.Known() {
			t.Errorf("an older run has brought back %+v", got)
		}
	})
	t.Run("a tenant that was dropped and registered again", func(t *testing.T) {
		if err := c.Unregister(t.Context(), "b"); err != nil {
			t.Fatal(err)
		}
		if _, ok := remember(t, url, database).Of("b"); ok {
			t.Error("a dropped tenant is remembered")
		}
		if err := c.Register(t.Context(), "b", "b"); err != nil {
			t.Fatal(err)
		}
		if _, ok := remember(t, url, database).Of("b"); ok {
			t.Error("its predecessor is remembered")
		}
	})
	t.Run("rows that are lost or edited", func(t *testing.T) {
		pgtest.Do(t, url, `delete from migration_set; update project set record = '"?"' where source_id = 's'`)
		record(t, c, 50, nil, project("a", &r))
		book := remember(t, url, project("a", nil), schema)
		if _, ok := book.Of("s"); ok || book.Set(r.Applied) != nil {
			t.Error("what cannot be read is remembered")
		}
		pgtest.Do(t, url, "alter table project drop column record")
		if _, ok := remember(t, url, project("a", nil)).Of("a"); ok {
			t.Error("there is no column any more")
		}
	})
}

// Runs that record the same tenants and files at once, each in an order of its own.
func TestConcurrentRunsRecord(t *testing.T) {
	url := pgtest.Database(t)
	c := open(t, url)
	const runs, tenants = 8, 40
	var all sync.WaitGroup
	for i := range runs {
		all.Add(1)
		go func() {
			defer all.Done()
			var entries []catalog.Entry
			sets := records.Sets{}
			for j := range tenants {
				set := records.Set{strconv.Itoa(j): "digest"}
				r := &records.Record{CurrentAt: noon, Applied: sets.Add(set), Version: strconv.Itoa(i)}
				entries = append(entries, project("p"+strconv.Itoa((j*(i+1))%tenants), r))
			}
			began := noon.Add(time.Duration(i) * time.Minute)
			if err := c.Record(t.Context(), catalog.Run{Mode: "migrate", Source: "neon", Started: began, Finished: began,
				Sets: sets}, entries); err != nil {
				t.Error(err)
			}
		}()
	}
	all.Wait()
	book := remember(t, url, project("p0", nil))
	if got, _ := book.Of("p0"); got.Version != strconv.Itoa(runs-1) || book.Set(got.Applied) == nil {
		t.Errorf("%+v", got)
	}
}

func TestRememberTenThousands(t *testing.T) {
	url := pgtest.Database(t)
	c := open(t, url)
	const n = 25_000
	entries := make([]catalog.Entry, n)
	r := &records.Record{CurrentAt: noon, Version: "1"}
	for i := range entries {
		entries[i] = project("p"+strconv.Itoa(i), r)
	}
	record(t, c, 0, nil, entries...)
	book := remember(t, url, entries...)
	for _, e := range entries {
		if got, ok := book.Of(e.ID); !ok || got.Version != "1" {
			t.Fatalf("%s: %+v", e.ID, got)
		}
	}
}

func TestRememberSaysWhyItCannot(t *testing.T) {
	url := pgtest.Database(t)
	open(t, url)
	pgtest.Do(t, url, "alter table project rename to kept; create view project as select 1 / 0 as record, "+
		"null::timestamptz as record_noted_at, '' as identity, null::timestamptz as dropped_at")
	target, err := postgres.ParseTarget(url, false)
	if err != nil {
		t.Fatal(err)
	}
	var book records.Book
	err = catalog.Remember(t.Context(), target, postgres.Options{}, time.Minute,
		[]catalog.Entry{project("a", nil)}, &book)
	if err == nil {
		t.Errorf("%v", err)
	}
}

// A migration of the catalog's owner may lock a table for hours: a run does not wait for it.
func TestRememberDoesNotWaitForALock(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	open(t, url)
	holder := pgtest.Session(t, url)
	holder("begin; lock table project")
	target, err := postgres.ParseTarget(url, false)
	if err != nil {
		t.Fatal(err)
	}
	var book records.Book
	err = catalog.Remember(t.Context(), target, postgres.Options{}, 5*time.Second,
		[]catalog.Entry{project("a", nil)}, &book)
	if err == nil || !strings.Contains(err.Error(), "lock timeout") {
		t.Errorf("got %v", err)
	}
}

// What a run saw while another one was still at work on the tenant, as a long undo is, is known no more afterwards.
func TestARunThatChangedATenantLater(t *testing.T) {
	url := pgtest.Database(t)
	c := open(t, url)
	seen := records.Record{Place: "neon a", CurrentAt: noon.Add(5 * time.Minute), Files: "f"}
	record(t, c, 4, nil, project("a", &seen), project("b", &seen))
	undone, before := project("a", &records.Record{}), project("b", &records.Record{})
	undone.EndedAt, before.EndedAt = noon.Add(6*time.Minute), noon.Add(3*time.Minute)
	record(t, c, 0, nil, undone, before)
	book := remember(t, url, undone, before)
	for id, known := range map[string]bool{"a": false, "b": true} {
		if got, _ := book.Of(id); got.Known() != known {
			t.Errorf("of %s is known %+v", id, got)
		}
	}
	record(t, c, 7, nil, project("a", &seen))
	if got, _ := remember(t, url, undone).Of("a"); !got.Known() {
		t.Error("a run that began after that is not believed")
	}
}
