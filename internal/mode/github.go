package mode

import (
	"errors"
	"fmt"
	"time"

	"github.com/org/neon-tenants-action/internal/github"
	"github.com/org/neon-tenants-action/internal/httpx"
	"github.com/org/neon-tenants-action/internal/input"
	"github.com/org/neon-tenants-action/internal/words"
)

// GitHub returns a client of GitHub's API with a token that the input github-token gives. It is nil, with a mistake, if
// the token or the address cannot be right.
func GitHub(in *input.Reader, env Env, token string) *github.Client {
	limits := github.Limits()
	limits.OnWait = func(d time.Duration, why string) {
		env.Say(fmt.Sprintf("waiting %s for GitHub: %s", words.Duration(d.Round(time.Second)), why))
	}
	limits.OnSlow = Slowed("GitHub's API", env.Notice, env.Say)
	client, err := github.New(github.Options{
		BaseURL: in.Variable("GITHUB_API_URL"), Token: token, HTTP: httpx.New(limits).HTTP(),
		UserAgent: httpx.UserAgent,
	})
	switch {
	case errors.As(err, new(*github.AddressError)):
		in.VariableMistake("GITHUB_API_URL", "%v; GitHub's runner sets this variable: unset it, or give it the address of "+
			"your server's API, such as https://github.example.com/api/v3", err)
	case err != nil:
		in.Mistake("github-token", "%v", err)
	}
	return client
}
