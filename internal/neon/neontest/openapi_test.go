package neontest_test

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/org/neon-tenants-action/internal/neon/neontest"
)

// schema is the part of an OpenAPI schema that answers are checked against.
type schema struct {
	Ref                  string            `yaml:"$ref"`
	Type                 string            `yaml:"type"`
	Format               string            `yaml:"format"`
	Pattern              string            `yaml:"pattern"`
	Enum                 []string          `yaml:"enum"`
	Required             []string          `yaml:"required"`
	Properties           map[string]schema `yaml:"properties"`
	AllOf                []schema          `yaml:"allOf"`
	Items                *schema           `yaml:"items"`
	Nullable             bool              `yaml:"nullable"`
	AdditionalProperties yaml.Node         `yaml:"additionalProperties"`
}

type content struct {
	Ref     string `yaml:"$ref"`
	Content map[string]struct {
		Schema schema `yaml:"schema"`
	} `yaml:"content"`
}

type document struct {
	Paths      map[string]map[string]yaml.Node `yaml:"paths"` // by method; some have parameters too
	Components struct {
		Schemas   map[string]schema  `yaml:"schemas"`
		Responses map[string]content `yaml:"responses"`
	} `yaml:"components"`
}

func name(ref string) string { return ref[strings.LastIndex(ref, "/")+1:] }

// check returns what is wrong with a value, and where it is in the answer.
func (d *document) check(s schema, at string, value any) (wrong []string) {
	if s.Ref != "" {
		return d.check(d.Components.Schemas[name(s.Ref)], at, value)
	}
	for _, part := range s.AllOf {
		wrong = append(wrong, d.check(part, at, value)...)
	}
	if value == nil {
		if !s.Nullable {
			wrong = append(wrong, at+" is null")
		}
		return wrong
	}
	fits := true
	switch s.Type {
	case "string":
		text, ok := value.(string)
		fits = ok && (len(s.Enum) == 0 || slices.Contains(s.Enum, text)) &&
			(s.Pattern == "" || regexp.MustCompile(s.Pattern).MatchString(text))
		if s.Format == "date-time" {
			_, err := time.Parse(time.RFC3339Nano, text)
			fits = fits && err == nil
		}
	case "integer":
		number, ok := value.(float64)
		fits = ok && number == float64(int64(number))
	case "number":
		_, fits = value.(float64)
	case "boolean":
		_, fits = value.(bool)
	case "array":
		list, ok := value.([]any)
		fits = ok
		for i, item := range list {
			wrong = append(wrong, d.check(*s.Items, fmt.Sprintf("%s[%d]", at, i), item)...)
		}
	}
	if !fits {
		wrong = append(wrong, fmt.Sprintf("%s is %v, want a %s %s%v%s", at, value, s.Type, s.Format, s.Enum, s.Pattern))
	}
	if s.Type != "object" && len(s.Properties) == 0 {
		return wrong
	}
	object, ok := value.(map[string]any)
	if !ok {
		return append(wrong, at+" is not an object")
	}
	for _, field := range s.Required {
		if _, ok := object[field]; !ok {
			wrong = append(wrong, at+"."+field+" is missing")
		}
	}
	for field, property := range s.Properties {
		if v, ok := object[field]; ok {
			wrong = append(wrong, d.check(property, at+"."+field, v)...)
		}
	}
	if s.AdditionalProperties.Kind == yaml.MappingNode {
		var each schema
		if err := s.AdditionalProperties.Decode(&each); err != nil {
			return append(wrong, err.Error())
		}
		for field, v := range object {
			wrong = append(wrong, d.check(each, at+"."+field, v)...)
		}
	}
	return wrong
}

// response finds the schema of an answer's body in the document; nil if it has no body.
func (d *document) response(t *testing.T, method, path string, status int) *schema {
	t.Helper()
	node, ok := d.Paths[path][strings.ToLower(method)]
	if !ok {
		return nil
	}
	var operation struct {
		Responses map[string]content `yaml:"responses"`
	}
	if err := node.Decode(&operation); err != nil {
		t.Fatal(err)
	}
	c, ok := operation.Responses[fmt.Sprint(status)]
	if !ok {
		c = operation.Responses["default"]
	}
	if c.Ref != "" {
		c = d.Components.Responses[name(c.Ref)]
	}
	body, ok := c.Content["application/json"]
	if !ok {
		return nil
	}
	return &body.Schema
}

func checkAgainstDocument(t *testing.T, path string) {
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var d document
	if err := yaml.Unmarshal(raw, &d); err != nil {
		t.Fatal(err)
	}
	s := start(t, neontest.Options{Limits: neontest.Limits{PerMinute: -1, PerSecond: -1}})
	p := add(t, s, neontest.Spec{Name: "Acme", AllowedIPs: []string{"127.0.0.1"}})
	checked := 0
	// Routes are written as in the document. These values replace their variables.
	values := map[string]string{
		"project_id": p.ID, "branch_id": p.BranchID, "endpoint_id": p.EndpointID, "database_name": "neondb",
		"role_name": "neondb_owner",
	}
	do := func(key, route, query string, body any) answer {
		method, path, _ := strings.Cut(route, " ")
		filled := path
		for name, value := range values {
			filled = strings.ReplaceAll(filled, "{"+name+"}", value)
		}
		a := callAs(t, s, key, method+" "+filled+query, body)
		want := d.response(t, method, path, a.Status)
		if _, known := d.Paths[path][strings.ToLower(method)]; !known || a.Status >= 500 ||
			(want == nil) != (len(a.Raw) == 0) {
			t.Errorf("%s: not in the document, or no answer of it: %d %s", route, a.Status, a.Raw)
			return a
		}
		if want == nil {
			return a
		}
		var value any
		if err := json.Unmarshal(a.Raw, &value); err != nil {
			t.Errorf("%s: %v", route, err)
		}
		for _, wrong := range d.check(*want, route, value) {
			t.Error(wrong)
		}
		checked++
		return a
	}
	org := neontest.OrgKey
	const project = "/projects/{project_id}"
	const branch, endpoint = project + "/branches/{branch_id}", project + "/endpoints/{endpoint_id}"
	for _, route := range []string{
		"GET /users/me/organizations", "GET /projects", "GET " + project, "GET " + project + "/operations",
		"GET " + project + "/branches", "GET " + project + "/branches/count", "GET " + branch, "GET " + branch + "/endpoints",
		"GET " + branch + "/databases", "GET " + branch + "/roles", "GET " + branch + "/roles/{role_name}/reveal_password",
		"GET " + project + "/endpoints", "GET " + endpoint, "POST " + endpoint + "/suspend", "POST " + endpoint + "/start",
	} {
		do(org, route, "", nil)
	}
	do(neontest.PersonalKey, "GET /projects", "", nil) // an error's format
	do(org, "GET "+project+"/connection_uri", "?database_name=neondb&role_name=neondb_owner", nil)
	replica := do(org, "POST "+project+"/endpoints", "", `{"endpoint":{"branch_id":"`+p.BranchID+`","type":"read_only"}}`)
	values["endpoint_id"] = replica.text(t, "endpoint", "id")
	do(org, "DELETE "+endpoint, "", nil)
	do(org, "DELETE "+endpoint, "", nil)
	do(org, "POST "+branch+"/databases", "", `{"database":{"name":"shop","owner_name":"neondb_owner"}}`)
	do(org, "POST "+branch+"/roles", "", `{"role":{"name":"reader"}}`)
	expires := time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
	child := do(org, "POST "+project+"/branches", "",
		`{"branch":{"expires_at":"`+expires+`"},"endpoints":[{"type":"read_write"}]}`)
	values["branch_id"] = child.text(t, "branch", "id")
	do(org, "GET "+branch, "", nil)
	do(org, "PATCH "+branch, "", `{"branch":{"expires_at":null}}`)
	do(org, "POST "+branch+"/restore", "", `{"source_branch_id":"`+p.BranchID+`"}`)
	values["operation_id"] = child.text(t, "operations", 0, "id")
	do(org, "GET "+project+"/operations/{operation_id}", "", nil)
	do(org, "DELETE "+branch, "", nil)
	do(org, "DELETE "+branch, "", nil)
	do(org, "POST /projects", "", `{"project":{"name":"New"}}`)
	do(org, "DELETE "+project, "", nil)
	do(org, "GET /projects", "?recoverable=true", nil)
	do(org, "POST "+project+"/recover", "", nil)
	if checked < 30 {
		t.Errorf("only %d answers were checked", checked)
	}
}
