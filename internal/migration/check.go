package migration

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/org/neon-tenants-action/internal/postgres"
	"github.com/org/neon-tenants-action/internal/sqltext"
)

// statement is one statement of a migration.
type statement struct {
	tokens []string // all of them, as [sqltext.Leading] returns them
	line   int      // of the file, from 1
	copies bool     // it is COPY … FROM STDIN
}

// statementsOf splits a migration's SQL.
func statementsOf(up string, firstLine int) []statement {
	var all []statement
	for _, s := range sqltext.Statements(up) {
		line, _ := sqltext.LineColumn(up, s.Start)
		all = append(all, statement{
			tokens: sqltext.Leading(up, s, len(up)), line: firstLine + line - 1, copies: sqltext.CopiesFromStdin(up, s),
		})
	}
	return all
}

// check returns what is wrong with a migration's statements, as far as their text shows it.
func (m migration) check() error {
	if m.tool == postgres.Dbmate {
		if err := checkOptions(m.up); err != nil {
			return err
		}
	}
	if offset, what := sqltext.Unclosed(m.up); what != "" {
		line, _ := sqltext.LineColumn(m.up, offset)
		return fmt.Errorf("line %d: %s begins that does not end in the file; close it", m.line+line-1, what)
	}
	for _, s := range m.statements {
		if problem := m.refusal(s); problem != "" {
			return fmt.Errorf("line %d: %s", s.line, problem)
		}
	}
	return nil
}

// refusal says why a statement may not be in the migration, "" if it may.
func (m migration) refusal(s statement) string {
	switch {
	case s.tokens[0] == `\`:
		return "a backslash begins a command of psql's, which no server knows; take it out, and pg_dump's own lines " +
			"\\restrict and \\unrestrict too"
	case s.copies:
		return "COPY FROM STDIN needs data that a migration file cannot carry; use INSERT"
	case m.transaction && s.endsTransaction():
		instead := ", or write -- migrate:up transaction:false"
		if m.tool == postgres.Drizzle {
			instead = ""
		}
		return fmt.Sprintf("%s ends the transaction in which the file and its record are applied; take it out%s",
			strings.ToUpper(s.tokens[0]), instead)
	case sqltext.Begins(s.tokens, "discard", "all"):
		return "DISCARD ALL drops the lock that keeps other runs away; write DISCARD PLANS, DISCARD SEQUENCES or " +
			"DISCARD TEMP"
	case !m.transaction && len(m.statements) > 1 && s.standsAlone():
		return fmt.Sprintf("%s has to be alone in its file, because the server runs the statements of a file as one "+
			"transaction even with transaction:false; put it into a file of its own", s.kind())
	}
	return ""
}

// endsTransaction reports whether a statement ends the transaction that it is run in.
func (s statement) endsTransaction() bool {
	switch s.tokens[0] {
	case "end", "abort":
		return true
	case "commit":
		return !sqltext.Begins(s.tokens, "commit", "prepared")
	case "rollback":
		return !sqltext.Begins(s.tokens, "rollback", "prepared") && !s.rollsBackToSavepoint()
	case "prepare":
		return sqltext.Begins(s.tokens, "prepare", "transaction")
	}
	return false
}

// rollsBackToSavepoint reports whether a ROLLBACK leaves its transaction open.
func (s statement) rollsBackToSavepoint() bool {
	return sqltext.Begins(s.tokens, "rollback", "to") ||
		sqltext.Begins(s.tokens, "rollback", "work", "to") || sqltext.Begins(s.tokens, "rollback", "transaction", "to")
}

// standsAlone reports whether the server refuses a statement in a message with others, because it commits on its own.
func (s statement) standsAlone() bool {
	if s.concurrent() {
		return true
	}
	switch s.tokens[0] {
	case "vacuum":
		return true
	case "reindex":
		return slices.ContainsFunc(s.tokens, func(t string) bool {
			return t == "schema" || t == "database" || t == "system"
		})
	case "create", "drop":
		return len(s.tokens) > 1 && (s.tokens[1] == "database" || s.tokens[1] == "tablespace")
	case "alter":
		return sqltext.Begins(s.tokens, "alter", "system")
	}
	return false
}

// commits reports whether a statement that is sent alone may commit part of its work before it fails.
func (s statement) commits() bool {
	return s.standsAlone() || s.tokens[0] == "call" || s.tokens[0] == "do"
}

// concurrent reports whether a statement builds, rebuilds, drops or detaches something CONCURRENTLY: it waits for other
// sessions' transactions without blocking them.
func (s statement) concurrent() bool {
	return slices.Contains([]string{"create", "drop", "reindex", "alter"}, s.tokens[0]) &&
		slices.Contains(s.tokens, "concurrently")
}

// kind names the kind of a statement that stands alone: "CREATE UNIQUE INDEX CONCURRENTLY".
func (s statement) kind() string {
	var words []string
	for i, token := range s.tokens {
		known := slices.Contains([]string{"unique", "index", "database", "tablespace", "system"}, token)
		if i == 0 || i < 3 && known || token == "concurrently" {
			words = append(words, strings.ToUpper(token))
		}
	}
	return strings.Join(words, " ")
}

// looksLikeOption matches what the author of a migrate:up line meant as an option.
var looksLikeOption = regexp.MustCompile(`(?i)(^|\s)(no[-_]?transaction\b|[a-z_-]*(transaction|txn?)\s*[:=])`)

// checkOptions refuses an option that dbmate silently ignores, such as transaction: false.
func checkOptions(up string) error {
	line, _, _ := strings.Cut(up, "\n")
	_, options, _ := strings.Cut(line, "migrate:up")
	options, _, _ = strings.Cut(options, " --") // a comment
	var unknown []string
	for _, word := range strings.Fields(options) {
		if word != "transaction:false" && word != "transaction:true" {
			unknown = append(unknown, word)
		}
	}
	if text := strings.Join(unknown, " "); looksLikeOption.MatchString(text) {
		return fmt.Errorf("%q after migrate:up is no option that dbmate knows, and would be ignored; write "+
			"-- migrate:up transaction:false", text)
	}
	return nil
}
