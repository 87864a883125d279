package bucket

import (
	"bytes"
	"cmp"
	"context"
	"crypto/md5" //nolint:gosec // how S3 names an object of several parts
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"net/http"
	"strings"
)

// Commit uploads what is left, completes the object and compares what the store has with what was written. Where it fails,
// or ctx ends before it is done, there is no object. An answer that got lost is made up for by looking.
func (w *Writer) Commit(ctx context.Context) (Stored, error) {
	if w.ended != nil {
		return Stored{}, w.ended
	}
	stop := context.AfterFunc(ctx, func() { w.cancel(context.Cause(ctx)) })
	defer stop()
	if err := w.finishParts(); err != nil {
		return Stored{}, w.fail(err)
	}
	linger, cancel := lingering(w.ctx, grace)
	defer cancel()
	op, call := "upload", w.put
	if w.uploadID != "" {
		op, call = "complete the upload of", w.complete
	}
	err := call(linger)
	s, code := status(err)
	taken := s == http.StatusPreconditionFailed || code == "NoSuchUpload" // by someone else, or by a first try of ours
	refused := s >= 400 && s < 500 && !taken && !lost(s)
	err = w.wrap(err, op, "s3:PutObject")
	var stored Stored
	if !refused {
		// The writer's context may have ended; what it left behind is found out all the same.
		look, cancel := w.afterwards()
		defer cancel()
		stored, err = w.settle(look, err)
	}
	if err != nil {
		return Stored{}, w.fail(err)
	}
	w.ended = errCommitted
	w.release()
	return stored, nil
}

// finishParts uploads the last part of several and waits for all.
func (w *Writer) finishParts() error {
	if err := w.failure(); err != nil || w.uploadID == "" {
		return err
	}
	if err := w.count(w.current); err != nil {
		return err
	}
	err := w.send(w.current)
	w.flying.Wait()
	if failed := w.failure(); failed != nil {
		return failed
	}
	return err
}

// settle compares the object with what was written, after a call that ended with callErr. What is there whole is good, also
// where the answer that said so got lost; anything else of ours is deleted.
func (w *Writer) settle(ctx context.Context, callErr error) (Stored, error) {
	o, err := w.bucket.Head(ctx, w.key)
	switch {
	case err == nil && o.nonce != w.nonce:
		return Stored{}, cmp.Or(callErr, error(&Error{Op: "check", Bucket: w.bucket.options.Bucket, Key: w.key,
			Err: errors.New("another object was written under this name meanwhile")}))
	case err != nil && callErr != nil:
		return Stored{}, callErr // and nothing is there, as far as can be seen
	case err != nil:
		return Stored{}, errors.Join(fmt.Errorf("look at what was stored: %w", err), w.undo(ctx))
	}
	checked, err := w.compare(o)
	if err == nil {
		err = w.wrap(w.ctx.Err(), "upload", "")
	}
	if err != nil {
		return Stored{}, errors.Join(err, w.undo(ctx))
	}
	w.uploadID = ""
	return Stored{Key: w.key, Size: w.size, SHA256: [32]byte(w.hash.Sum(nil)), CRC32C: w.crc, Checked: checked}, nil
}

// undo deletes the object again.
func (w *Writer) undo(ctx context.Context) error {
	w.uploadID = ""
	_, err := w.bucket.Delete(ctx, []string{w.key})
	return err
}

// compare returns by what the stored object was recognised as the one that was written.
func (w *Writer) compare(o Object) (string, error) {
	differs := func(what string, want, got any) error {
		return &Error{Op: "check", Bucket: w.bucket.options.Bucket, Key: w.key,
			Err: fmt.Errorf("the store has something other than what was sent: its %s is %v, and not %v", what, got, want)}
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
	// With encryption by the store an ETag is something else, of the same form.
	if want, ok := w.etag(); ok && strings.Trim(o.ETag, `"`) == want {
		return "md5", nil
	}
	return "parts", nil
}

// compositeCRC is what stores answer that know no checksum of the whole: that of the parts' checksums, and their number.
func (w *Writer) compositeCRC() string {
	var all []byte
	for _, p := range w.parts {
		all = binary.BigEndian.AppendUint32(all, p.crc)
	}
	return fmt.Sprintf("%s-%d", encodeCRC(crc32.Checksum(all, castagnoli)), len(w.parts))
}

// etag is the object's, where all parts went with their MD5.
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
