package input

import "testing"

// An input that is left out gets the other default, however its value comes. One that repeats the definition's default
// cannot be told from it: the runner passes that by itself.
func TestDefault(t *testing.T) {
	for _, test := range []struct {
		name  string
		env   environment
		args  []string
		want  string
		given bool
	}{
		{"left out in a shell", nil, nil, "other", false},
		{"left out in a workflow", environment{"INPUT_PATH": "db"}, nil, "other", false},
		{"empty", environment{"INPUT_PATH": " "}, nil, "other", false},
		{"a flag that repeats the definition's", nil, []string{"--path", "db"}, "other", false},
		{"a value", environment{"INPUT_PATH": " x\n"}, nil, "x", true},
		{"a flag", nil, []string{"--path=x"}, "x", true},
		{"the other default itself", environment{"INPUT_PATH": "other"}, nil, "other", true},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := read(t, test.env, test.args...)
			for range 2 { // several parts of a mode may say so
				r.Default("path", "other")
				if got, given := r.String("path"), r.Given("path"); got != test.want || given != test.given {
					t.Errorf("%q, given %v", got, given)
				}
			}
			if r.Unused() != nil || r.Err() != nil {
				t.Errorf("%v, %v", r.Unused(), r.Err())
			}
		})
	}
	r := read(t, environment{"INPUT_PATH": "db"})
	if r.Default("path", ""); r.String("path") != "" {
		t.Errorf("%q is not empty", r.String("path"))
	}
	r = read(t, environment{"INPUT_TENANTS": ""})
	r.Guard("tenants")
	r.Default("tenants", "other")
	const want = "input tenants: is given and is empty, as an expression that finds nothing is; " +
		"correct the expression, or leave the input out, which means *"
	if err := r.Err(); err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
}
