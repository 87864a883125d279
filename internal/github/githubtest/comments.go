package githubtest

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf16"
)

// maxComment is the longest comment, in UTF-16 code units: GitHub says characters, and this is the strictest reading.
const maxComment = 65536

// Comment is a comment of a pull request.
type Comment struct {
	ID    int64
	Login string // of its author
	Body  string
}

type comment struct {
	Comment
	pull             int
	created, updated time.Time
}

// AddPullRequest adds a pull request to a repository.
func (s *Server) AddPullRequest(repository string, number int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.repositories[strings.ToLower(repository)]
	r.pulls = append(r.pulls, number)
}

// LockPullRequest locks a pull request's conversation: nobody here may comment on it.
func (s *Server) LockPullRequest(repository string, number int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.repositories[strings.ToLower(repository)]
	r.locked = append(r.locked, number)
}

// AddComment adds a comment that somebody else writes, and returns its id.
func (s *Server) AddComment(repository string, pull int, login, body string) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.addComment(s.repositories[strings.ToLower(repository)], pull, login, body).ID
}

func (s *Server) addComment(r *repository, pull int, login, body string) *comment {
	s.lastID++
	one := &comment{Comment: Comment{s.lastID, login, body}, pull: pull, created: stamp(), updated: stamp()}
	r.comments = append(r.comments, one)
	return one
}

// Comments returns a pull request's comments, the oldest first.
func (s *Server) Comments(repository string, pull int) (all []Comment) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, one := range s.repositories[strings.ToLower(repository)].of(pull) {
		all = append(all, one.Comment)
	}
	return all
}

// of lists the comments of a pull request.
func (r *repository) of(pull int) (all []*comment) {
	for _, one := range r.comments {
		if one.pull == pull {
			all = append(all, one)
		}
	}
	return all
}

// login is that of the token's account: that of an App's bot, or a person's.
func (t *Token) login() string {
	usual := "octocat"
	if t.isApps() {
		usual = "github-actions[bot]"
	}
	return cmp.Or(t.Login, usual)
}

func (t *Token) isApps() bool { return strings.HasPrefix(t.Secret, "ghs_") }

func (r *request) describeComment(c *comment) map[string]any {
	kind, app := "User", any(nil)
	if slug, bot := strings.CutSuffix(c.Login, "[bot]"); bot {
		kind, app = "Bot", map[string]any{"slug": slug}
	}
	return map[string]any{
		"id": c.ID, "body": c.Body, "created_at": c.created, "updated_at": c.updated, "performed_via_github_app": app,
		"user":     map[string]any{"login": c.Login, "type": kind},
		"html_url": fmt.Sprintf("https://github.com/%s/pull/%d#issuecomment-%d", r.repository.name, c.pull, c.ID),
	}
}

// pull returns the number of the pull request that the path names; ok is false if there is none.
func (r *request) pull() (number int, ok bool) {
	number, err := strconv.Atoi(r.PathValue("issue_number"))
	return number, err == nil && slices.Contains(r.repository.pulls, number)
}

func listComments(_ *Server, r *request) reply {
	pull, there := r.pull()
	if !there {
		return notFound()
	}
	items := []any{}
	for _, one := range page(r, r.repository.of(pull), 30, 100) {
		items = append(items, r.describeComment(one))
	}
	return ok(items)
}

// readComment reads the body of a request that writes a comment.
func (r *request) readComment() (body string, refusal *reply) {
	var in struct{ Body *string }
	if refusal := r.decode(&in); refusal != nil {
		return "", refusal
	}
	complaint := ""
	switch {
	case in.Body == nil:
		complaint = "Invalid request.\n\n\"body\" wasn't supplied."
	case strings.TrimSpace(*in.Body) == "":
		complaint = "Validation Failed: Body cannot be blank"
	case len(utf16.Encode([]rune(*in.Body))) > maxComment:
		complaint = "Validation Failed: Body is too long (maximum is 65536 characters)"
	default:
		return *in.Body, nil
	}
	p := refuse(http.StatusUnprocessableEntity, "%s", complaint)
	return "", &p
}

func createComment(s *Server, r *request) reply {
	pull, there := r.pull()
	if !there {
		return notFound()
	}
	body, refusal := r.readComment()
	if refusal != nil {
		return *refusal
	}
	if slices.Contains(r.repository.locked, pull) {
		return refuse(http.StatusForbidden, "Unable to create comment because issue is locked.")
	}
	return reply{http.StatusCreated, r.describeComment(s.addComment(r.repository, pull, r.token.login(), body))}
}

// ownComment returns the comment that the path names. GitHub lets some accounts change the comments of others; nobody
// has to, so it is refused here.
func (r *request) ownComment() (*comment, *reply) {
	id, _ := strconv.ParseInt(r.PathValue("comment_id"), 10, 64)
	i := slices.IndexFunc(r.repository.comments, func(c *comment) bool { return c.ID == id })
	p := notFound()
	if i < 0 {
		return nil, &p
	}
	if one := r.repository.comments[i]; one.Login == r.token.login() {
		return one, nil
	}
	p = refuse(http.StatusForbidden, "You cannot change somebody else's comment.")
	return nil, &p
}

func updateComment(_ *Server, r *request) reply {
	one, refusal := r.ownComment()
	if refusal != nil {
		return *refusal
	}
	body, refusal := r.readComment()
	if refusal != nil {
		return *refusal
	}
	one.Body, one.updated = body, stamp()
	return ok(r.describeComment(one))
}

func deleteComment(_ *Server, r *request) reply {
	one, refusal := r.ownComment()
	if refusal != nil {
		return *refusal
	}
	r.repository.comments = slices.DeleteFunc(r.repository.comments, func(c *comment) bool { return c == one })
	return reply{http.StatusNoContent, nil}
}

// getUser refuses the tokens of Apps, which are no users.
func getUser(_ *Server, r *request) reply {
	if r.token.isApps() {
		return refuse(http.StatusForbidden, "Resource not accessible by integration")
	}
	return ok(map[string]any{"login": r.token.login(), "id": 583231, "type": "User"})
}

// graphQL answers the one question of whose the token is.
func graphQL(_ *Server, r *request) reply {
	var in struct{ Query string }
	if refusal := r.decode(&in); refusal != nil {
		return *refusal
	}
	if strings.Join(strings.FieldsFunc(in.Query, func(c rune) bool { return strings.ContainsRune("{} \n\t", c) }), " ") !=
		"query viewer login" {
		return ok(map[string]any{"errors": []any{map[string]any{"message": "The simulator knows no such query."}}})
	}
	return ok(map[string]any{"data": map[string]any{"viewer": map[string]any{"login": r.token.login()}}})
}
