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
	Err       error

	action string // the permission that the request needs
	region string // of the bucket, if the store says so
	// interrupted is true if the caller's context ended the request.
	interrupted bool
	remedy      string
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

// Remedy tells what to do about it, "" where there is nothing to say.
func (e *Error) Remedy() string {
	switch {
	case e.remedy != "":
		return e.remedy
	case e.interrupted || errors.Is(e.Err, context.Canceled):
		return ""
	case e.region != "":
		return "the bucket is in " + e.region + ": give aws-region: " + e.region
	}
	switch e.Code {
	case "NoSuchBucket":
		return "there is no bucket of this name: check s3-bucket, aws-region and s3-endpoint"
	case "PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException":
		return "the bucket is in another region: check aws-region"
	case "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken":
		return "the store does not accept these credentials: check them, and that they are this store's"
	case "RequestTimeTooSkewed":
		return "set this machine's clock"
	case "KMS.DisabledException", "KMS.NotFoundException", "KMS.KMSInvalidStateException":
		return "check that the key of s3-kms-key-id exists in the bucket's region and is enabled"
	case "InvalidStorageClass":
		return "check s3-storage-class: the store does not know it"
	case "EntityTooLarge":
		return "the store takes no object of this size"
	case "QuotaExceeded", "XMinioStorageFull", "InsufficientStorage":
		return "the store is full: make room, or shorten retention-days"
	case "PreconditionFailed":
		return "another run made a backup of this tenant in the same second: don't run two at once"
	}
	switch {
	case e.Status == http.StatusForbidden && strings.Contains(strings.ToLower(e.Message), "kms"):
		return "let the role use the key of s3-kms-key-id: kms:GenerateDataKey and kms:Decrypt"
	case e.Status == http.StatusForbidden && e.action != "":
		return "let the role do " + e.action + " on this bucket, in its own policy and in the bucket's"
	case e.Status >= http.StatusInternalServerError:
		return "the store has trouble, which usually passes: run again later"
	case errors.As(e.Err, new(x509.UnknownAuthorityError)):
		return "the store's certificate is signed by an authority that is not known here: name a file with the authority's certificate in AWS_CA_BUNDLE"
	case e.Status == 0:
		return "the store could not be reached, or stopped answering: check s3-endpoint, aws-region and the runner's network"
	}
	return ""
}

// wrap makes an [*Error] of a request's error; nil stays nil. action is the permission that the request needs.
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
