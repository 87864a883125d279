package pgdump

import (
	"fmt"

	"github.com/org/neon-tenants-action/internal/postgres"
)

// Compared says what a restored backup was compared by.
type Compared struct {
	Tables int   // whose rows were counted in the database, and are those that the backup holds
	Rows   int64 // theirs
	// Dumped is whether the rows were counted while they were dumped, too.
	Dumped bool
	// Uncounted are the tables for which the server's word was taken that it loaded the rows, each with the reason.
	Uncounted []string
}

// Loaded is how many tables the backup has rows for, or would have if they had any, and how many rows the server took.
func (r Restored) Loaded() (tables int, rows int64) {
	for _, t := range r.loaded {
		rows += t.Rows
	}
	return len(r.loaded), rows
}

// MismatchError is the error of a backup that was loaded without an error and is not what was dumped.
type MismatchError struct{ Problem string }

func (e *MismatchError) Error() string { return e.Problem }

// Compare compares the rows of each table: those that were counted while the backup was dumped (nil: they were not),
// those that the server took from it, and those that the tables hold now. The last is only right if nobody else writes
// to the target. The error is a [*MismatchError].
func (r Restored) Compare(dumped []postgres.TableRows) (Compared, error) {
	if dumped != nil {
		if err := compareDumped(dumped, r.loaded); err != nil {
			return Compared{}, err
		}
	}
	c, err := compareHeld(r.loaded, r.counted)
	c.Dumped = dumped != nil
	return c, err
}

// compareDumped compares by the tables' names, which are the same text in a dump and in the backup that it became. The
// rows of several partitions may come under the name of their root.
func compareDumped(dumped []postgres.TableRows, loaded []loadedTable) error {
	want := map[string]int64{}
	for _, t := range dumped {
		want[t.Table] += t.Rows
	}
	for _, t := range loaded {
		rows, ok := want[t.Table]
		if !ok || rows != t.Rows {
			return &MismatchError{fmt.Sprintf("table %s had %d rows in the dump, and %d were loaded",
				printable(t.Table), rows, t.Rows)}
		}
		delete(want, t.Table)
	}
	for _, t := range dumped {
		if _, left := want[t.Table]; left {
			return &MismatchError{fmt.Sprintf("table %s had %d rows in the dump, and none were loaded",
				printable(t.Table), t.Rows)}
		}
	}
	return nil
}

// compareHeld compares what was loaded with what the tables hold: table by table, or, where rows were loaded through a
// partitioned table, tree by tree.
func compareHeld(loaded []loadedTable, counted []postgres.Counted) (c Compared, err error) {
	through := map[string]bool{} // trees
	for _, t := range loaded {
		through[t.tree] = through[t.tree] || t.partitioned
	}
	held, hidden := map[string]int64{}, map[string]bool{}
	for _, t := range counted {
		id := t.ID
		if through[t.Tree] {
			id = t.Tree
		}
		held[id] += max(0, t.Rows)
		hidden[id] = hidden[id] || t.Rows < 0
	}
	want, names := map[string]int64{}, map[string]string{}
	var order []string
	for _, t := range loaded {
		id := t.id
		if through[t.tree] {
			id = t.tree
		}
		switch {
		case t.id == "":
			return c, &MismatchError{fmt.Sprintf("table %s is gone after its rows were loaded", printable(t.Table))}
		case t.uncounted == "" && hidden[id]:
			t.uncounted = "row security hides rows"
		}
		if t.uncounted != "" {
			c.Uncounted = append(c.Uncounted, printable(t.Table)+" ("+t.uncounted+")")
			continue
		}
		if _, known := names[id]; !known {
			names[id] = printable(t.Table)
			order = append(order, id)
		}
		want[id] += t.Rows
	}
	for _, id := range order {
		if held[id] != want[id] {
			return c, &MismatchError{fmt.Sprintf("%d rows of table %s were loaded, and it holds %d", want[id], names[id],
				held[id])}
		}
		c.Tables++
		c.Rows += want[id]
	}
	return c, nil
}
