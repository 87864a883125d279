package sweep

import (
	"cmp"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/org/neon-tenants-action/internal/neon/neontest"
	"github.com/org/neon-tenants-action/internal/postgres/pgtest"
)

var every = flag.Int("every", 0, "kill at one of so many points: before and after each call are points; 0: a sample")

// sample is what runs without the flag: a scenario that is quick, and one of so many points.
var sample = struct {
	scenario string
	every    int
}{"migrate", 7}

// scenario is a run that is killed.
type scenario struct {
	// filled starts tenants with the example's tables and some rows, and not with an empty database.
	filled bool
	// dumps is true if pg_dump is started.
	dumps bool
	// before prepares a world.
	before func(w *world)
	inputs func(w *world) []string
	total  int // the tenants that the run selects
	// done is what the second run's error says if the first had been through with everything; nil if that is no error.
	done func(w *world) string
	// killed looks at what a killed run has left, and after at what the second one has.
	killed, after func(w *world, o outcome)
}

// TestKilledAtEveryCall is what make sweep runs, with every point.
func TestKilledAtEveryCall(t *testing.T) {
	for name, s := range scenarios {
		if *every == 0 && name != sample.scenario {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s.sweep(t, cmp.Or(*every, sample.every))
		})
	}
}

func (s scenario) sweep(t *testing.T, every int) {
	t.Helper()
	// Without a kill, to know the calls.
	var calls []string
	if !t.Run("undisturbed", func(t *testing.T) {
		w, files := s.world(t)
		inputs := s.inputs(w)
		o := w.run(point{}, inputs...)
		calls = w.proxy.made()
		w.converged(o, s.total, files, inputs)
		s.after(w, o)
	}) {
		return
	}
	if len(calls) < 3 {
		t.Fatalf("the run made only the calls %q", calls)
	}
	t.Logf("%d calls", len(calls))
	points, kills := 0, 0
	for i := range 2 * len(calls) {
		if i%every != every/2 {
			continue
		}
		p := point{call: i/2 + 1, after: i%2 == 1}
		t.Run(fmt.Sprintf("%s, %s", p, calls[i/2]), func(t *testing.T) {
			w, files := s.world(t)
			inputs := s.inputs(w)
			killed := w.run(p, inputs...)
			points, kills = points+1, kills+w.proxy.killed()
			if s.killed != nil {
				s.killed(w, killed)
			}
			if s.filled { // a backup's key has the second in which it was made
				time.Sleep(time.Until(time.Now().Truncate(time.Second).Add(time.Second)))
			}
			said := ""
			if s.done != nil {
				said = s.done(w)
			}
			o := w.run(point{}, inputs...)
			if said != "" && o.err != nil && strings.Contains(o.log, said) {
				o.err = nil
				w.converged(o, 0, files, inputs)
			} else {
				w.converged(o, s.total, files, inputs)
			}
			s.after(w, o)
			if t.Failed() {
				t.Logf("the killed run ended with %v, and said:\n%s", killed.err, killed.log)
			}
		})
	}
	// Some runs make a call or two less than the undisturbed one, whose last they never reach: a goodbye to a server may
	// come together with the message before it.
	if kills < points-1-points/10 {
		t.Errorf("only %d of %d runs were killed", kills, points)
	}
}

// world starts one, and returns the files that its workspace has after a run.
func (s scenario) world(t *testing.T) (w *world, files []string) {
	t.Helper()
	w = newWorld(t, pgtest.Shared(t), "ACME Corp", "Payroll Inc")
	w.proxy.dumps = s.dumps
	w.writeMigrations()
	if s.filled {
		for _, p := range w.projects {
			w.fill(p)
		}
	}
	if s.before != nil {
		s.before(w)
	}
	files = append(w.files(), "report.json") // which a run may have left already
	slices.Sort(files)
	return w, slices.Compact(files)
}

// writeMigrations writes the example's and two more.
func (w *world) writeMigrations() {
	w.Helper()
	if err := os.CopyFS(filepath.Join(w.workspace, "db", "migrations"), os.DirFS("../../migrations/example")); err != nil {
		w.Fatal(err)
	}
	// A file that is applied twice is found out.
	w.write("db/migrations/20250201000000_once.sql", "-- migrate:up\ncreate table once (version text);\n"+
		"insert into once values ('20250201000000');\n-- migrate:down\n")
	w.write("db/migrations/20250202000000_twice.sql", "-- migrate:up\ninsert into once values ('20250202000000');\n"+
		"-- migrate:down\n")
}

func (w *world) write(name, text string) {
	w.Helper()
	if err := os.WriteFile(filepath.Join(w.workspace, filepath.FromSlash(name)), []byte(text), 0o600); err != nil {
		w.Fatal(err)
	}
}

// fill does to a tenant what a migration does, and adds rows.
func (w *world) fill(p neontest.Project) {
	w.Helper()
	files, err := filepath.Glob(filepath.Join(w.workspace, "db", "migrations", "*.sql"))
	if err != nil {
		w.Fatal(err)
	}
	sql := "create table schema_migrations (version varchar primary key);"
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			w.Fatal(err)
		}
		_, up, _ := strings.Cut(string(text), "-- migrate:up\n")
		up, _, _ = strings.Cut(up, "-- migrate:down")
		version, _, _ := strings.Cut(filepath.Base(file), "_")
		sql += up + "insert into schema_migrations values ('" + version + "');"
	}
	pgtest.Do(w, p.URL, sql+"insert into users (email, name) select 'user-' || i || '@example.com', 'User ' || i "+
		"from generate_series(1, "+strconv.Itoa(users)+") i")
}

// users is how many rows of a tenant [world.fill] makes, and usersQuery counts them.
const (
	users      = 500
	usersQuery = "select count(*) || ' users, ' || sum(length(email)) || ' letters' from users"
)
