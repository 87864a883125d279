package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/input"
	"github.com/org/neon-tenants-action/internal/report"
)

// unread are the declared inputs that nothing reads yet: their descriptions must say so.
var unread = []string{}

// unset are the declared outputs that nothing sets yet: their descriptions must say so.
var unset = []string{}

// byMode are the outputs that a mode sets beside the report's.
var byMode = []string{
	"backup-key", "branches", "matrix", "oldest-proof-age", "rehearsal", "restore-p95-seconds", "tenant-id", "tenants",
}

// notYet is how a description says that this version does not have something.
var notYet = regexp.MustCompile(`Not available in this version`)

func declared(t *testing.T) *input.Definition {
	t.Helper()
	d, err := input.ParseDefinition(definition)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// calls are the inputs that the program's code names, by what it does with them.
type calls struct{ read, refused, undeclared []string }

// readers are the methods of input.Reader that return an input's value; Given and Mistake are about it.
func readers() []string {
	var names []string
	for m := range reflect.TypeFor[*input.Reader]().Methods() {
		takesName := m.Type.NumIn() >= 2 && m.Type.In(1).Kind() == reflect.String
		if takesName && m.Type.NumOut() == 1 && m.Name != "Given" && m.Name != "Variable" {
			names = append(names, m.Name)
		}
	}
	return names
}

// named finds the inputs in the program's own files: in.X("name", …), input.Parse(in, "name", …), and
// refuseUnavailable(in, "name", …).
func named(t *testing.T) calls {
	t.Helper()
	var c calls
	methods := readers()
	known := declared(t)
	literal := func(e ast.Expr) (string, bool) {
		l, ok := e.(*ast.BasicLit)
		if !ok || l.Kind != token.STRING {
			return "", false
		}
		text, err := strconv.Unquote(l.Value)
		return text, err == nil
	}
	visit := func(call *ast.CallExpr) {
		note := func(names *[]string, args ...ast.Expr) {
			for _, a := range args {
				name, ok := literal(a)
				if !ok {
					continue
				}
				*names = append(*names, name)
				if _, ok := known.Input(name); !ok {
					c.undeclared = append(c.undeclared, name)
				}
			}
		}
		switch f := call.Fun.(type) {
		case *ast.SelectorExpr:
			switch {
			case isIdent(f.X, "input") && f.Sel.Name == "Parse" && len(call.Args) == 3:
				note(&c.read, call.Args[1])
			case isReader(f.X) && slices.Contains(methods, f.Sel.Name):
				note(&c.read, call.Args[0])
			case isReader(f.X) && (f.Sel.Name == "Given" || f.Sel.Name == "Mistake"):
				note(new([]string), call.Args[0])
			}
		case *ast.Ident:
			if f.Name == "refuseUnavailable" {
				note(&c.refused, call.Args[1:]...)
			}
		}
	}
	err := filepath.WalkDir("internal", func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && (strings.HasSuffix(path, "test") || path == filepath.Join("internal", "input")):
			return fs.SkipDir
		case filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go"):
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if call, ok := n.(*ast.CallExpr); ok {
				visit(call)
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, names := range []*[]string{&c.read, &c.refused, &c.undeclared} {
		slices.Sort(*names)
		*names = slices.Compact(*names)
	}
	return c
}

func isIdent(e ast.Expr, name string) bool {
	id, ok := e.(*ast.Ident)
	return ok && id.Name == name
}

// isReader tells a reader by the name that the code gives it everywhere: in, or a field of that name.
func isReader(e ast.Expr) bool {
	if s, ok := e.(*ast.SelectorExpr); ok {
		return s.Sel.Name == "in"
	}
	return isIdent(e, "in")
}

func TestInputsAreWhatTheCodeReads(t *testing.T) {
	c := named(t)
	if len(c.read) < 20 {
		t.Fatalf("found only these reads, which cannot be all: %v", c.read)
	}
	if len(c.undeclared) > 0 {
		t.Errorf("named by the code and not in action.yml: %v", c.undeclared)
	}
	var want []string
	for _, f := range declared(t).Inputs {
		if !slices.Contains(unread, f.Name) {
			want = append(want, f.Name)
		} else if !notYet.MatchString(f.Description) {
			t.Errorf("%s is read by nothing, and its description does not say so: %s", f.Name, f.Description)
		}
		if !slices.Contains(unread, f.Name) && notYet.MatchString(f.Description) {
			t.Errorf("%s is read, and its description says that it is not there: %s", f.Name, f.Description)
		}
	}
	slices.Sort(want)
	if diff := cmp.Diff(want, c.read); diff != "" {
		t.Errorf("inputs that are declared (-) and read (+):\n%s", diff)
	}
	for _, name := range c.refused {
		if !slices.Contains(unread, name) {
			t.Errorf("%s is refused, and not in the list of inputs that nothing reads", name)
		}
	}
}

func TestOutputsAreWhatTheReportSets(t *testing.T) {
	var set []string
	inWaves := report.Run{Waves: report.WavesOf(make([]fleet.WaveResult, 2))}
	for _, o := range report.Outputs(inWaves) {
		set = append(set, o.Name)
	}
	var want []string
	for _, f := range declared(t).Outputs {
		if slices.Contains(byMode, f.Name) {
			continue
		}
		if !slices.Contains(unset, f.Name) {
			want = append(want, f.Name)
		} else if !notYet.MatchString(f.Description) {
			t.Errorf("%s is set by nothing, and its description does not say so: %s", f.Name, f.Description)
		}
	}
	if diff := cmp.Diff(want, set); diff != "" {
		t.Errorf("outputs that are declared (-) and set (+):\n%s", diff)
	}
}

// metadata is action.yml as GitHub reads it.
type metadata struct {
	Name, Description, Author string
	Branding                  struct{ Icon, Color string }
	Runs                      map[string]any
	Inputs                    map[string]struct {
		Description        string
		Default            *string
		Required           bool
		DeprecationMessage string `yaml:"deprecationMessage"`
	}
	Outputs map[string]struct{ Description string }
}

func TestActionMetadata(t *testing.T) {
	var m metadata
	decoder := yaml.NewDecoder(strings.NewReader(string(definition)))
	decoder.KnownFields(true) // and no key twice
	if err := decoder.Decode(&m); err != nil {
		t.Fatal(err)
	}
	if n := utf8.RuneCountInString(m.Description); n == 0 || n > 125 {
		t.Errorf("the description has %d characters; the Marketplace takes 1 to 125", n)
	}
	if m.Name == "" || m.Author == "" {
		t.Errorf("name %q, author %q", m.Name, m.Author)
	}
	colors := []string{"white", "black", "yellow", "blue", "green", "orange", "red", "purple", "gray-dark"}
	if !slices.Contains(colors, m.Branding.Color) {
		t.Errorf("the color %q is none of %v", m.Branding.Color, colors)
	}
	// Those of Feather's icons that GitHub takes and that suit a database tool.
	icons := []string{"database", "server", "layers", "users", "refresh-cw", "shield"}
	if !slices.Contains(icons, m.Branding.Icon) {
		t.Errorf("the icon %q is none of %v", m.Branding.Icon, icons)
	}
	if diff := cmp.Diff(map[string]any{"using": "docker", "image": "Dockerfile"}, m.Runs); diff != "" {
		t.Errorf("runs (-want +got):\n%s", diff)
	}
	if _, err := os.Stat("Dockerfile"); err != nil {
		t.Error(err)
	}
	for i, line := range strings.Split(string(definition), "\n") {
		if n := utf8.RuneCountInString(line); n > 120 {
			t.Errorf("line %d has %d columns; fold it to 120", i+1, n)
		}
	}
	name := regexp.MustCompile(`^[a-z][a-z0-9]*(-[a-z0-9]+)*$`)
	for id, in := range m.Inputs {
		if !name.MatchString(id) || !sentences(in.Description) {
			t.Errorf("input %s: %q", id, in.Description)
		}
		if in.Required && in.Default != nil {
			t.Errorf("input %s is required and has a default", id)
		}
	}
	for id, out := range m.Outputs {
		if !name.MatchString(id) || !sentences(out.Description) {
			t.Errorf("output %s: %q", id, out.Description)
		}
	}
}

// sentences tells one or two sentences that are written out from fragments and from essays.
func sentences(text string) bool {
	whole := len(text) > 10 && strings.HasSuffix(text, ".") && strings.ToUpper(text[:1]) == text[:1]
	return whole && !strings.Contains(text, "\n") && strings.Count(text, ". ") <= 1
}
