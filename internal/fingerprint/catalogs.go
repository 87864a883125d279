package fingerprint

import (
	"regexp"
	"strconv"
	"strings"
)

// catalogs are the numbers of the system's catalogs. PostgreSQL's sources fix them (src/include/catalog), for all
// majors; by a name, a session that is new would have to look each of them up.
var catalogs = map[string]oid{
	"pg_cast": 2605, "pg_class": 1259, "pg_collation": 3456, "pg_conversion": 2607, "pg_event_trigger": 3466,
	"pg_extension": 3079, "pg_foreign_data_wrapper": 2328, "pg_foreign_server": 1417, "pg_namespace": 2615,
	"pg_opclass": 2616, "pg_operator": 2617, "pg_opfamily": 2753, "pg_proc": 1255, "pg_publication": 6104,
	"pg_publication_namespace": 6237, "pg_publication_rel": 6106, "pg_statistic_ext": 3381, "pg_ts_config": 3602,
	"pg_ts_dict": 3600, "pg_type": 1247,
}

// uncommonCatalogs are those of the objects that uncommon.sql describes; partitions and foreign tables are relations,
// and publications of all tables depend on nothing.
var uncommonCatalogs = []string{
	"pg_operator", "pg_opclass", "pg_opfamily", "pg_cast", "pg_collation", "pg_conversion", "pg_ts_config", "pg_ts_dict",
	"pg_event_trigger", "pg_statistic_ext", "pg_foreign_data_wrapper", "pg_foreign_server", "pg_publication_rel",
	"pg_publication_namespace",
}

// catalogName matches what the query's files write for the number of a catalog.
var catalogName = regexp.MustCompile(`{{catalog ([a-z_]+)}}`)

// numberCatalogs puts numbers in the place of names, and of {{uncommon}}. It goes before whatever puts a tenant's names
// into the SQL.
func numberCatalogs(sql string) string {
	uncommon := make([]string, len(uncommonCatalogs))
	for i, name := range uncommonCatalogs {
		uncommon[i] = numberOf(name)
	}
	return catalogName.ReplaceAllStringFunc(strings.ReplaceAll(sql, "{{uncommon}}", strings.Join(uncommon, ", ")),
		func(written string) string { return numberOf(catalogName.FindStringSubmatch(written)[1]) })
}

// numberOf is SQL for the number of a catalog.
func numberOf(name string) string {
	number, ok := catalogs[name]
	if !ok {
		panic("the number of " + name + " is missing") // a bug that every look meets
	}
	return "'" + strconv.FormatUint(uint64(number), 10) + "'"
}
