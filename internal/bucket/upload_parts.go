package bucket

import "fmt"

// next uploads the current part, which is full, and begins another one.
func (w *Writer) next() error {
	if w.uploadID == "" {
		if err := w.begin(); err != nil {
			return err
		}
	}
	full := w.current
	if err := w.count(full); err != nil {
		return err
	}
	if size := grownSize(w.partSize, w.number+1, w.bucket.custom); size > w.partSize {
		return w.nextGrown(size)
	}
	if extra, ok := w.tryReserve(); ok {
		w.uploadInBackground(full)
		w.current = &part{limit: w.partSize, extra: extra, chunks: full.chunks}
		return nil
	}
	if err := w.uploadPart(full); err != nil {
		return err
	}
	full.free()
	return nil
}

// count gives a part its number.
func (w *Writer) count(t *part) error {
	if w.number == maxParts {
		return &Error{Op: "upload", Bucket: w.bucket.options.Bucket, Key: w.key,
			Err: fmt.Errorf("the object is larger than %d parts of %d MiB", maxParts, w.partSize>>20),
			remedy: "the size of parts follows from the database's size, and the backup became much larger than that: " +
				"compress it, or use a store that allows parts of unequal size"}
	}
	w.number++
	t.number = w.number
	w.mu.Lock()
	w.parts = append(w.parts, uploaded{})
	w.mu.Unlock()
	return nil
}

// tryReserve reserves memory for another part without waiting: what the stream is guaranteed, or else some of the
// shared budget, which it returns in bytes.
func (w *Writer) tryReserve() (extra int64, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.inFlight >= maxInFlight:
		return 0, false
	case w.guaranteed:
		w.guaranteed = false
		return 0, true
	case w.bucket.budget.extra.TryAcquire(w.partSize):
		return w.partSize, true
	}
	return 0, false
}

// uploadInBackground uploads a part while the next one is filled. An error ends the whole upload.
func (w *Writer) uploadInBackground(t *part) {
	w.mu.Lock()
	w.inFlight++
	w.mu.Unlock()
	w.uploads.Go(func() {
		err := w.uploadPart(t)
		w.mu.Lock()
		w.inFlight--
		if err != nil && w.failed == nil {
			w.failed = err
			w.cancel(err)
		}
		w.mu.Unlock()
		w.releasePart(t)
	})
}

// releasePart releases a part's memory and what it holds of the budget.
func (w *Writer) releasePart(t *part) {
	t.free()
	if t.extra > 0 {
		w.bucket.budget.extra.Release(t.extra)
		t.extra = 0
		return
	}
	w.mu.Lock()
	w.guaranteed = true
	w.mu.Unlock()
}

// nextGrown uploads the full part and begins a larger one, for which it waits for as much of the shared budget as there
// is. While it waits, the stream holds nothing else of that budget, so streams cannot wait for each other.
func (w *Writer) nextGrown(size int64) error {
	err := w.uploadPart(w.current)
	w.uploads.Wait()
	w.releasePart(w.current)
	w.mu.Lock()
	w.guaranteed = false
	w.mu.Unlock()
	w.current = &part{limit: w.partSize, chunks: w.current.chunks}
	if err != nil {
		return err
	}
	extra := min(size-w.partSize, extraBytes)
	if err := w.bucket.budget.extra.Acquire(w.ctx, extra); err != nil {
		return w.wrap(err, "wait for memory to upload", "")
	}
	w.current.limit, w.current.extra = size, extra
	return nil
}
