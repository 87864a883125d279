package postgres

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/org/neon-tenants-action/internal/sqltext"
)

func (r Recorder) insertDbmate(entries []Entry) string {
	rows := make([]string, len(entries))
	for i, e := range entries {
		rows[i] = "(" + sqltext.QuoteLiteral(e.Version) + ")"
	}
	return fmt.Sprintf("insert into %s (version) values %s", r.Quoted(), strings.Join(rows, ", "))
}

func (r Recorder) keptDbmate(entries []Entry) string {
	versions := make([]string, len(entries))
	for i, e := range entries {
		versions[i] = e.Version
	}
	return fmt.Sprintf("(select count(distinct pg_catalog.format('%%s', version)) from %s "+
		"where pg_catalog.format('%%s', version) in (%s)) = %d", r.Quoted(), sqltext.QuoteLiterals(versions), len(entries))
}

// readDbmate reads the versions: dbmate's table has version and no other column.
func (s *Status) readDbmate(ctx context.Context, c *Conn, rows Rows) error {
	version := slices.Index(rows.Columns, "version")
	if version < 0 {
		return &TableError{VersionsNotOurs, s.Table.Table,
			fmt.Sprintf("%s has no column version, so it is not dbmate's", s.Table.Quoted())}
	}
	if len(rows.Columns) > 1 {
		if err := checkColumns(ctx, c, s.Table, "version"); err != nil {
			return err
		}
	}
	for _, r := range rows.Values {
		s.Versions[string(r[version])] = true
	}
	return nil
}

func rowsOfDbmate(columns string) string {
	return "case when " + columns +
		" = 1 then 'select pg_catalog.to_json(array(select version::text from %I.%I))' end"
}

func (s *Status) readDbmateJSON(text []byte) error {
	var versions []string
	if err := json.Unmarshal(text, &versions); err != nil {
		return err
	}
	for _, v := range versions {
		s.Versions[v] = true
	}
	return nil
}
