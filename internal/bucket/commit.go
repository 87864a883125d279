package bucket

import (
	"bytes"
	"cmp"
	"context"
	"crypto/md5" //nolint:gosec // S3 derives the ETag of a multipart object from it
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"net/http"
	"strings"

	"github.com/org/neon-tenants-action/internal/grace"
)

// Commit uploads the rest, completes the object and compares what the store holds with what was written. If it fails,
// or ctx ends before it is done, there is no object, unless it may replace one, which nothing would bring back. If the
// store's response is lost, Commit looks whether the object is there.
func (w *Writer) Commit(ctx context.Context) (Stored, error) {
	if w.ended != nil {
		return Stored{}, w.ended
	}
	stop := context.AfterFunc(ctx, func() { w.cancel(context.Cause(ctx)) })
	defer stop()
	if err := w.finishParts(); err != nil {
		return Stored{}, w.fail(err)
	}
	late, cancel := grace.Context(w.ctx, createGrace)
	defer cancel()
	op, request := "upload", w.put
	if w.uploadID != "" {
		op, request = "complete the upload of", w.complete
	}
	err := request(late)
	s, code := status(err)
	// The name may be in use, or the upload complete, because an earlier attempt of ours got through.
	occupied := s == http.StatusPreconditionFailed || code == "NoSuchUpload"
	refused := s >= 400 && s < 500 && !occupied && !mayHaveArrived(s)
	err = w.wrap(err, op, "s3:PutObject")
	var stored Stored
	if !refused {
		cleanup, cancel := w.cleanupContext()
		defer cancel()
		stored, err = w.verify(cleanup, err)
	}
	if err != nil {
		return Stored{}, w.fail(err)
	}
	w.ended = errCommitted
	w.release()
	return stored, nil
}

// finishParts uploads the last part of a multipart upload and waits for all of them.
func (w *Writer) finishParts() error {
	if err := w.failure(); err != nil || w.uploadID == "" {
		return err
	}
	if err := w.count(w.current); err != nil {
		return err
	}
	err := w.uploadPart(w.current)
	w.uploads.Wait()
	if failed := w.failure(); failed != nil {
		return failed
	}
	return err
}

// verify compares the stored object with what was written, after a request that ended with requestErr. An object of
// ours that is complete is good even if the response was lost; any other object of ours is deleted. One that may have
// taken another's place is deleted only if it is known to be wrong, and stays even if nobody waits for it any more.
func (w *Writer) verify(ctx context.Context, requestErr error) (Stored, error) {
	o, err := w.bucket.Head(ctx, w.key)
	switch {
	case err == nil && o.nonce != w.nonce:
		return Stored{}, cmp.Or(requestErr, error(&Error{Op: "check", Bucket: w.bucket.options.Bucket, Key: w.key,
			cause: ObjectOverwritten, Err: errors.New("another object was written under this name meanwhile")}))
	case err != nil && requestErr != nil:
		return Stored{}, requestErr // there is no object, as far as we can tell
	case err != nil && w.info.Replace:
		return Stored{}, fmt.Errorf("look at what was stored: %w", err)
	case err != nil:
		return Stored{}, errors.Join(fmt.Errorf("look at what was stored: %w", err), w.undo(ctx))
	}
	checked, err := w.compare(o)
	if err == nil && !w.info.Replace {
		err = w.wrap(w.ctx.Err(), "upload", "")
	}
	if err != nil {
		return Stored{}, errors.Join(err, w.undo(ctx))
	}
	w.uploadID = ""
	return Stored{Key: w.key, Size: w.size, SHA256: [32]byte(w.hash.Sum(nil)), CRC32C: w.crc, Checked: checked}, nil
}

// undo deletes the object.
func (w *Writer) undo(ctx context.Context) error {
	w.uploadID = ""
	_, err := w.bucket.Delete(ctx, []string{w.key})
	return err
}

// compare compares the stored object with what was written, and returns what it compared: see [Stored.Checked].
func (w *Writer) compare(o Object) (string, error) {
	differs := func(what string, want, got any) error {
		return &Error{Op: "check", Bucket: w.bucket.options.Bucket, Key: w.key, cause: ObjectDiffers,
			Err: fmt.Errorf("the store holds something other than what was sent: its %s is %v, not %v", what, got, want)}
	}
	if o.Size != w.size {
		return "", differs("size", w.size, o.Size)
	}
	if o.crc32c != "" {
		want := encodeCRC(w.crc)
		if strings.Contains(o.crc32c, "-") {
			want = w.compositeCRC()
		}
		if o.crc32c != want {
			return "", differs("CRC32C", want, o.crc32c)
		}
		return "crc32c", nil
	}
	// If the store encrypts, an ETag of the same form is not the MD5: only equality proves anything.
	if want, ok := w.etag(); ok && strings.Trim(o.ETag, `"`) == want {
		return "md5", nil
	}
	return "parts", nil
}

// compositeCRC returns the checksum of the parts' checksums and their number, as reported by stores that have no
// checksum of the whole object.
func (w *Writer) compositeCRC() string {
	var all []byte
	for _, p := range w.parts {
		all = binary.BigEndian.AppendUint32(all, p.crc)
	}
	return fmt.Sprintf("%s-%d", encodeCRC(crc32.Checksum(all, castagnoli)), len(w.parts))
}

// etag returns the ETag to expect, if all parts were sent with their MD5.
func (w *Writer) etag() (string, bool) {
	sums := make([][]byte, len(w.parts))
	for i, p := range w.parts {
		if p.md5 == nil {
			return "", false
		}
		sums[i] = p.md5
	}
	if w.uploadID == "" {
		return hex.EncodeToString(sums[0]), true
	}
	whole := md5.Sum(bytes.Join(sums, nil)) //nolint:gosec // as above
	return fmt.Sprintf("%s-%d", hex.EncodeToString(whole[:]), len(w.parts)), true
}
