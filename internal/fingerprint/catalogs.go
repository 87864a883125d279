package fingerprint

import (
	"regexp"
	"strconv"
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

// catalogName matches what the query's files write for the number of a catalog.
var catalogName = regexp.MustCompile(`{{catalog ([a-z_]+)}}`)

func numberCatalogs(sql string) string {
	return catalogName.ReplaceAllStringFunc(sql, func(written string) string {
		number := catalogs[catalogName.FindStringSubmatch(written)[1]]
		return "'" + strconv.FormatUint(uint64(number), 10) + "'"
	})
}
