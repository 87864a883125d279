package bucket

import (
	"context"
	"net/http"
	"slices"
)

// withFallback makes a request. If a store that is not AWS rejects it for a header that it does not know, the request
// is repeated without CRC32C (Content-MD5 is as old as S3) and without conditions. If that works, later requests use
// the fallback too.
func (b *Bucket) withFallback(request func(fallback bool) error) error {
	fallback := b.fallback.Load()
	err := request(fallback)
	if err == nil || fallback || !b.custom {
		return err
	}
	s, code := status(err)
	if s != http.StatusNotImplemented && (s != http.StatusBadRequest || !slices.Contains([]string{
		"InvalidArgument", "InvalidRequest", "NotImplemented", "MalformedXML", "XAmzContentSHA256Mismatch",
	}, code)) {
		return err
	}
	if again := request(true); again != nil {
		return err // the first error says more
	}
	b.fallback.Store(true)
	return nil
}

// checkAbsent stands in for If-None-Match, which the fallback does without: it fails if there is an object of this
// name.
func (w *Writer) checkAbsent(ctx context.Context) error {
	_, err := w.bucket.Head(ctx, w.key)
	switch {
	case err == nil:
		return &Error{Op: "write", Bucket: w.bucket.options.Bucket, Key: w.key, Status: http.StatusPreconditionFailed,
			Code: "PreconditionFailed", Message: "there is an object of this name"}
	case IsNotFound(err):
		return nil
	}
	return err
}
