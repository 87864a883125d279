package mode

import (
	"fmt"
	"net/url"
	"path"
	"regexp"
	"strings"

	"github.com/org/neon-tenants-action/internal/input"
)

var (
	// Old buckets may have upper case and underscores, and other stores have rules of their own.
	bucketName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,254}$`)
	// What AWS's SDK takes in place of a name: access points, those of several regions, and of Outposts.
	accessPoint = regexp.MustCompile(
		`^arn:[\w-]+:s3:[\w-]*:\d{12}:accesspoint[/:][\w.-]+$|` +
			`^arn:[\w-]+:s3-outposts:[\w-]+:\d{12}:outpost[/:][\w-]+[/:]accesspoint[/:][\w-]+$`)
	awsHost = regexp.MustCompile(`^(?:(.+)\.)?s3[.-](?:[\w.-]+\.)?amazonaws\.com(?:\.cn)?$`)
)

// readBucket reads the bucket's name. Without this, a path or an address in its place would become a request to another
// host or for another key, and the store's answer would not say why.
func readBucket(in *input.Reader) string {
	text := in.Required("s3-bucket")
	if text == "" || bucketName.MatchString(text) || accessPoint.MatchString(text) {
		return text
	}
	what, name, folder := misnamed(text)
	remedy := "write only the bucket's name, such as s3-bucket: my-backups, and a folder in s3-prefix"
	if bucketName.MatchString(name) || accessPoint.MatchString(name) {
		remedy = "write s3-bucket: " + name
		if folder = path.Join(strings.Trim(folder, "/*"), in.String("s3-prefix")); folder != "" {
			remedy += " and s3-prefix: " + folder
		}
	}
	in.Mistake("s3-bucket", "%s, and has to be a bucket's name (letters, digits, dots and hyphens); %s", what, remedy)
	return text
}

// misnamed says what a text is that is no bucket's name, and which bucket and folder it most likely means. It quotes no
// address, which may hold a signature.
func misnamed(text string) (what, name, folder string) {
	scheme, rest, isURL := strings.Cut(text, "://")
	switch {
	case isURL && (scheme == "http" || scheme == "https"):
		name, folder = addressed(text)
		return "is a web address", name, folder
	case isURL:
		name, folder = split(rest)
		return "is an address that begins with " + scheme + "://", name, folder
	case strings.HasPrefix(text, "arn:"):
		parts := strings.SplitN(text, ":", 6)
		if rest = parts[len(parts)-1]; strings.HasPrefix(rest, "accesspoint/") {
			point, below := split(strings.TrimPrefix(rest, "accesspoint/"))
			arn := strings.TrimSuffix(text, rest) + "accesspoint/" + point
			return "is the ARN of an access point with a folder behind it", arn, strings.TrimPrefix(below, "object/")
		}
		name, folder = split(rest)
		return "is an ARN, which only access points are named by", name, folder
	case strings.Contains(text, "/"):
		name, folder = split(text)
		return fmt.Sprintf("%q holds a path", text), name, folder
	}
	return fmt.Sprintf("%q holds a character that no name has", text), "", ""
}

// addressed reads the bucket and the folder from a bucket's address, or from that of its page in AWS's console.
func addressed(text string) (name, folder string) {
	u, err := url.Parse(text)
	if err != nil {
		return "", ""
	}
	if _, page, ok := strings.Cut(u.Path, "/s3/buckets/"); ok && strings.HasSuffix(u.Hostname(), "amazon.com") {
		name, _ = split(page)
		return name, strings.Trim(u.Query().Get("prefix"), "/")
	}
	if m := awsHost.FindStringSubmatch(u.Hostname()); m != nil && m[1] != "" {
		return m[1], strings.Trim(u.Path, "/")
	}
	return split(u.Path)
}

// split cuts a path behind its first part.
func split(text string) (first, rest string) {
	first, rest, _ = strings.Cut(strings.Trim(text, "/"), "/")
	return first, strings.Trim(rest, "/")
}

// readPrefix reads the folder above the tenants' folders.
func readPrefix(in *input.Reader) string {
	text := in.String("s3-prefix")
	if strings.Contains(text, "://") || strings.HasPrefix(text, "arn:") {
		_, _, folder := misnamed(text)
		if folder == "" {
			folder = "backups"
		}
		in.Mistake("s3-prefix", "is an address, and has to be a folder in the bucket; write s3-prefix: %s", folder)
	}
	return text
}

// checkEndpoint refuses an address that ends with the bucket's name, as some stores' pages show it: every request would
// name the bucket twice, and the store would look for a key of that name.
func checkEndpoint(in *input.Reader, endpoint *url.URL, bucket string) {
	if bucket != "" && path.Base(endpoint.Path) == bucket {
		short := *endpoint
		short.Path = strings.TrimSuffix(strings.TrimSuffix(strings.TrimRight(endpoint.Path, "/"), bucket), "/")
		in.Mistake("s3-endpoint", "ends with the bucket's name, which s3-bucket gives; write s3-endpoint: %s", short.String())
	}
}
