package postgres

import (
	"errors"
	"math/rand/v2"
	"net/url"
	"strings"
	"testing"
)

// A password that is not percent-encoded never becomes part of a server's, a database's or a setting's name, which are
// printed.
func TestUnencodedPasswordIsRefused(t *testing.T) {
	for _, password := range []string{
		"12/hush", "a@hush/b", "a@hush?b", "a@b/hush@c", "hush#b", "a@hush#b", "hush?b", "a@hush/", "12?hush", "/hush",
		"?x=hush", "a@b?hush", "a@b?x=hush",
	} {
		for _, rest := range []string{"@db.example.com:5432/app?sslmode=require", "@db.example.com", "@db.example.com/"} {
			_, err := ParseTarget("postgres://user:"+password+rest, false)
			var refused *URLError
			switch {
			case !errors.As(err, &refused) || !strings.Contains(refused.Remedy(), "percent-encode"):
				t.Errorf("%s: got %v", password, err)
			case strings.Contains(err.Error()+refused.Remedy(), "hush"):
				t.Errorf("%s: %v shows it", password, err)
			}
		}
	}
	for _, text := range []string{
		"postgres://user:hush@db.example.com/a%40b", "postgres://user:hush@db.example.com/a%40b%2Fc",
		"postgres://user:hush@db.example.com/app?application_name=a%40b/c", "postgres://user:a@hush:b@db.example.com/app",
	} {
		if _, err := ParseTarget(text, false); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// The error of a character that has to be encoded names the rule and how the character is written; with that, the
// password is what it was.
func TestHowAPasswordIsEncoded(t *testing.T) {
	const slash = "it contains an @ after the host"
	for character, c := range map[string]struct{ problem, encoded string }{
		"#": {"it contains a # as it is", "%23"}, "%": {"it contains a % that two hexadecimal digits", "%25"},
		"/": {slash, "%2F"}, "?": {slash, "%3F"}, "[": {"has a special character as it is", "%5B"},
		"]": {"has a special character as it is", "%5D"}, "%00": {"a NUL character", "%2500"},
		"^": {"has a special character as it is", "%5E"},
		" ": {"has a special character as it is", "%20"}, "%4": {"two hexadecimal digits", "%254"},
		"@": {"", "%40"}, ":": {"", "%3A"},
	} {
		for _, around := range []string{"hush", "12", "", "x@y"} {
			for _, host := range []string{"db.example.com:5432/app?sslmode=require", "localhost"} {
				_, err := ParseTarget("postgres://user:"+around+character+"z"+around+"@"+host, false)
				var refused *URLError
				switch {
				case c.problem == "" && err != nil: // those that end nothing are taken as they are
					t.Errorf("%s: %v", character, err)
				case c.problem != "" && (!errors.As(err, &refused) || !strings.Contains(refused.Problem, c.problem) ||
					!strings.Contains(refused.Fix, character[:1]+" is "+c.encoded[:3]) && character != " "):
					t.Errorf("%s: %v", character, err)
				}
				target, err := ParseTarget("postgres://user:"+c.encoded+"z@"+host, false)
				if err != nil || target.Config().Password != character+"z" {
					t.Errorf("%s as %s: %v", character, c.encoded, err)
				}
			}
		}
	}
}

func TestPasswordAmongTheParameters(t *testing.T) {
	for query, works := range map[string]bool{
		"password=hush": true, "user=u&password=hush&sslmode=require": true, "password=a%26hush": true,
		"password=a&hush": false, "password=a&hush=b": false, "password=a&hush=": false, "password=a&password=hush": false,
		"password=a#hush": false, "password=a;hush": false, "password=%hush": false, "hush=1&hush=2": false,
	} {
		target, err := ParseTarget("postgres://u@localhost/db?"+query, false)
		if (err == nil) != works {
			t.Errorf("%s: %v", query, err)
		}
		if err != nil && strings.Contains(err.Error(), "hush") {
			t.Errorf("%s: %v shows it", query, err)
		}
		if err == nil && strings.Contains(target.String(), "hush") {
			t.Errorf("%s: %v shows it", query, target)
		}
	}
}

// shown is all that is ever printed of a connection string.
func shown(text string) string {
	target, err := ParseTarget(text, true)
	if err != nil {
		var refused *URLError
		if errors.As(err, &refused) {
			return err.Error() + refused.Remedy()
		}
		return err.Error()
	}
	cfg := target.Config()
	lines := []string{target.String(), newConnectError(cfg, errors.New("refused"), 0).Error(), cfg.Host, cfg.User}
	for _, f := range cfg.Fallbacks {
		lines = append(lines, f.Host)
	}
	for name, value := range cfg.RuntimeParams { // the server repeats those that it does not know
		lines = append(lines, name, value)
	}
	return strings.Join(lines, "\n")
}

// leaked is a run of four characters of the password that a text shows and the rest of the URL does not have.
func leaked(password, text string, elsewhere ...string) string {
	decoded, err := url.PathUnescape(password)
	if err != nil {
		decoded = password
	}
	rest := strings.Join(elsewhere, "\n")
	for _, p := range []string{password, decoded} {
		for i := range max(0, len(p)-3) {
			if run := p[i : i+4]; strings.Contains(text, run) && !strings.Contains(rest, run) {
				return run
			}
		}
	}
	return ""
}

var aroundPasswords = []struct{ before, after string }{
	{"postgres://user:", "@db.example.com:5432/app?sslmode=require"}, {"postgresql://user:", "@db.example.com"},
	{"postgres://user:", "@localhost/"}, {"postgres://user:", "@10.0.0.1,10.0.0.2:5433/app"},
	{"postgres://user:", "@/app?host=db.example.com"}, {"postgres:user:", "@db.example.com/app"},
	{"postgres:/user:", "@db.example.com/app"}, {"postgres:///user:", "@db.example.com/app"},
	{"user:", "@db.example.com/app"}, {"DATABASE_URL=postgres://user:", "@db.example.com/app"},
	{"psql 'postgres://user:", "@db.example.com/app'"},
	{"postgres://user@db.example.com/app?password=", ""}, {"postgres://user@localhost/app?password=", "&sslmode=disable"},
	{"host=db.example.com password=", " user=x"},
}

// No run of four characters of a password is printed, whatever in it is not percent-encoded.
func TestNoPartOfAPasswordIsPrinted(t *testing.T) {
	const letters, special = "QWXZJKVqwxzjkv0123456789", `/@?#%:;=&+,[]\^ "'<>|{}!$*~-_.()` + "`\t"
	random := rand.New(rand.NewPCG(1, 2))
	pick := func(from string) byte { return from[random.IntN(len(from))] }
	for range 60000 {
		password := make([]byte, 4+random.IntN(16))
		for i := range password {
			if password[i] = pick(letters); random.IntN(4) == 0 {
				password[i] = pick(special)
			}
		}
		around := aroundPasswords[random.IntN(len(aroundPasswords))]
		text := around.before + string(password) + around.after
		said := shown(text)
		if run := leaked(string(password), said, around.before, around.after, "5432", encode); run != "" {
			t.Fatalf("of %q is printed %q:\n%s", text, run, said)
		}
	}
}

func FuzzPasswordIsNotPrinted(f *testing.F) {
	for i, password := range []string{"12/hush", "a@b?hush", "12?hush", "a&hush=1", "%41hush", "a]hush", ",hush:1",
		"%00 hush"} {
		f.Add(password, i)
	}
	f.Fuzz(func(t *testing.T, password string, i int) {
		around := aroundPasswords[uint(i)%uint(len(aroundPasswords))]
		said := shown(around.before + password + around.after)
		texts := []string{around.before, encode, wholeForm, around.after, "5432",
			"it cannot be used: its port, or the value of a parameter, is none",
			shown("x"), shown("postgres://u:a/b@h"), shown("postgres://u:%@h"), shown("postgres://u:b#@h/x"),
			shown("postgres://u:^@h/x"), shown("postgres://u:%00@h"), shown("postgres://u:b@h:x"),
			shown("postgres://h/x"), shown("postgres:///x"), shown("postgres://u@h/x?a=1&a=2"), shown("postgres://u@h/x?a=%"),
			shown("postgres://u@localhost/x?password=1&b=2")}
		if run := leaked(password, said, texts...); run != "" {
			t.Errorf("%q is printed:\n%s", run, said)
		}
	})
}
