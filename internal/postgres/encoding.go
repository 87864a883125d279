package postgres

import (
	"regexp"
	"strings"
)

// A password that is pasted into a connection string as it is may end the host's name, the URL or an escape. What is
// said about it names the rule, and no part of the password.

const (
	plainForm = "give it in the form postgresql://user:password@host/database"
	// A file of variables or of YAML ends a value at a #.
	wholeForm = plainForm + "; if the password has a # that is not written as %23, it may have been cut off there"
	encode    = "percent-encode special characters of the user and the password: # is %23, % is %25, / is %2F, ? is " +
		"%3F, @ is %40, : is %3A, [ is %5B, ] is %5D, ^ is %5E, a blank is %20"
)

var (
	scheme = regexp.MustCompile(`^(?i:postgres|postgresql)://`)
	// brokenEscape is a % without the two hexadecimal digits of the character that it stands for.
	brokenEscape = regexp.MustCompile(`%(?:[^0-9A-Fa-f]|[0-9A-Fa-f][^0-9A-Fa-f]|[0-9A-Fa-f]?$)`)
	// plainUser is what may stand before the host as it is, by RFC 3986, and an @, of which the last one counts.
	plainUser = regexp.MustCompile(`^[A-Za-z0-9\-._~!$&'()*+,;=:%@]*$`)
)

// CheckURL returns a [*URLError] if it can be told from the text alone why it is no connection string: it has another
// scheme, or a special character is not percent-encoded.
func CheckURL(text string) error { return checkEncoding(text) }

// checkEncoding looks for special characters that are not percent-encoded. It cannot find those that also make sense
// as they are.
func checkEncoding(text string) error {
	start := scheme.FindStringIndex(text)
	if start == nil {
		return &URLError{"it does not begin with postgres:// or postgresql://",
			"give it in the form postgresql://user:password@host/database?sslmode=require"}
	}
	rest := text[start[1]:]
	at := strings.LastIndexByte(rest, '@')
	switch {
	case strings.Contains(rest, "#"):
		return &URLError{"it contains a # as it is, which ends a URL", encode}
	case brokenEscape.MatchString(rest):
		return &URLError{"it contains a % that two hexadecimal digits do not follow", encode}
	case strings.Contains(rest, "%00"):
		return &URLError{"it contains the escape of a NUL character, which PostgreSQL allows nowhere", encode}
	case at >= 0 && strings.ContainsAny(rest[:at], "/?"):
		// A / or ? in the password ends the host, and the rest of it would be printed as the name of a server, a database or
		// a setting. A database whose name has an @ cannot be told from that, and has to write it as %40.
		return &URLError{"it contains an @ after the host", encode + "; so is an @ anywhere else"}
	case at >= 0 && !plainUser.MatchString(rest[:at]):
		return &URLError{"its user or its password has a special character as it is", encode}
	}
	return nil
}
