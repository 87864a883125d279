package bucket

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go"
)

// Error is a failed request to S3, to the token service or to a proxy in front of them.
type Error struct {
	Op     string // what was being done, such as "upload part 3 of"
	Bucket string
	Key    string // empty if the request was not about one object
	Status int    // HTTP status, 0 without a response
	Code   string // the store's own, such as AccessDenied; may be empty
	// Message is the store's own text.
	Message   string
	RequestID string
	// Audience is that of the identity token with which a role was to be assumed.
	Audience string
	Err      error

	action string // the permission that the request needs
	region string // of the bucket, if the store says so
	// interrupted is true if the caller's context ended the request.
	interrupted bool
	// cause is set if neither the status nor the code tells it.
	cause Cause
}

func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Op)
	if e.Key != "" {
		fmt.Fprintf(&b, " s3://%s/%s", e.Bucket, e.Key)
	} else if e.Bucket != "" {
		b.WriteString(" s3://" + e.Bucket)
	}
	b.WriteString(": ")
	if e.Status == 0 {
		b.WriteString(e.Err.Error())
		return b.String()
	}
	fmt.Fprintf(&b, "%d", e.Status)
	if e.Code != "" {
		b.WriteString(" " + e.Code)
	}
	if e.Message != "" {
		b.WriteString(": " + e.Message)
	}
	if e.RequestID != "" {
		b.WriteString(" (request id " + e.RequestID + ")")
	}
	return b.String()
}

func (e *Error) Unwrap() error { return e.Err }

// Cause is why the request failed, "" if that is not known.
func (e *Error) Cause() Cause {
	switch {
	case e.cause != "":
		return e.cause
	case e.interrupted || errors.Is(e.Err, context.Canceled) || errors.Is(e.Err, ErrTooLarge):
		return ""
	case e.region != "":
		return OtherRegion
	}
	if cause, ok := causes[e.Code]; ok {
		return cause
	}
	switch {
	case e.Status == http.StatusForbidden && strings.Contains(strings.ToLower(e.Message), "kms"):
		return KeyDenied
	case e.Status == http.StatusForbidden && e.action != "":
		return Denied
	case e.Status >= http.StatusInternalServerError:
		return ServerError
	case errors.As(e.Err, new(x509.UnknownAuthorityError)):
		return UnknownAuthority
	case e.Status == 0:
		return Unreachable
	}
	return ""
}

// Permission is the permission that the request needs, such as "s3:PutObject".
func (e *Error) Permission() string { return e.action }

// Region is where the bucket is, "" if the store did not tell.
func (e *Error) Region() string { return e.region }

// wrap makes an [*Error] of what a call returned; nil stays nil. action is the permission that the call needs.
func (b *Bucket) wrap(err error, op, key, action string) error {
	if err == nil {
		return nil
	}
	if inner := (*smithy.OperationError)(nil); errors.As(err, &inner) && credentialsFailed(err) {
		return b.credentialsError(err)
	}
	e := &Error{Op: op, Bucket: b.options.Bucket, Key: key, action: action}
	e.describe(err)
	if e.region == b.options.Region {
		e.region = ""
	}
	e.cause = e.unsupported(b.options)
	return e
}

// describe takes from an SDK error what a reader wants to know. Its own text says most of that several times.
func (e *Error) describe(err error) {
	e.Err = err
	if api := smithy.APIError(nil); errors.As(err, &api) {
		e.Code, e.Message = api.ErrorCode(), strings.TrimSpace(api.ErrorMessage())
		if e.Code == "UnknownError" {
			e.Code = ""
		}
	}
	if resp := (*awshttp.ResponseError)(nil); errors.As(err, &resp) {
		e.Status, e.RequestID = resp.HTTPStatusCode(), resp.ServiceRequestID()
		if region := resp.Response.Header.Get("X-Amz-Bucket-Region"); region != "" && slices.Contains([]int{
			http.StatusMovedPermanently, http.StatusTemporaryRedirect, http.StatusBadRequest}, e.Status) {
			e.region = region
		}
	}
	if e.Status == 0 {
		e.Err = innermost(err)
	}
}

// innermost returns the error that the SDK has wrapped.
func innermost(err error) error {
	for {
		switch err.(type) { //nolint:errorlint // one layer at a time
		case *smithy.OperationError, *smithy.CanceledError, *awshttp.ResponseError,
			*url.Error: // repeats the whole URL
		default:
			text := err.Error()
			if !strings.HasPrefix(text, "exceeded maximum number of attempts") &&
				!strings.HasPrefix(text, "https response error") && !strings.HasPrefix(text, "request send failed") {
				return err
			}
		}
		next := errors.Unwrap(err)
		if next == nil {
			return err
		}
		err = next
	}
}

// credentialsFailed reports whether a request was not sent because there were no credentials.
func credentialsFailed(err error) bool {
	if errors.As(err, new(tokenError)) {
		return true
	}
	text := err.Error()
	return strings.Contains(text, "get identity: get credentials") && !errors.Is(err, context.Canceled)
}

// status returns the HTTP status and the store's code in err, 0 and "" if there was no response.
func status(err error) (int, string) {
	if e := (*Error)(nil); errors.As(err, &e) {
		return e.Status, e.Code
	}
	var code string
	if api := smithy.APIError(nil); errors.As(err, &api) {
		code = api.ErrorCode()
	}
	if resp := (*awshttp.ResponseError)(nil); errors.As(err, &resp) {
		return resp.HTTPStatusCode(), code
	}
	return 0, code
}

// mayHaveArrived reports whether a status says that the server saw the request cut off or arrive too slowly: 408, or
// 499 from MinIO and proxies. Unlike other 4xx it is no refusal, and the request may have been carried out.
func mayHaveArrived(status int) bool { return status == http.StatusRequestTimeout || status == 499 }

// IsNotFound reports whether err says that there is no such object.
func IsNotFound(err error) bool {
	s, code := status(err)
	return s == http.StatusNotFound && code != "NoSuchBucket"
}
