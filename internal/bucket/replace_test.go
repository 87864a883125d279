package bucket_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/org/neon-tenants-action/internal/bucket"
	"github.com/org/neon-tenants-action/internal/bucket/buckettest"
)

// What takes the place of another object is not deleted because a run was cancelled, or because nobody could look at
// it: the other is gone by then. It is deleted only if it is wrong.
func TestReplaceNeverEndsWithNothing(t *testing.T) {
	t.Parallel()
	s := buckettest.Shared(t)
	why := errors.New("the run was cancelled")
	for name, c := range map[string]struct {
		fault   buckettest.Fault
		cancels bool
		fails   bool
	}{
		"cancelled while it is put":       {buckettest.Fault{Operation: "PutObject", Way: buckettest.Pass}, true, false},
		"cancelled while it is looked at": {buckettest.Fault{Operation: "HeadObject", Way: buckettest.Pass}, true, false},
		"not to be looked at":             {buckettest.Fault{Operation: "HeadObject"}, false, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			proxy := buckettest.StartFaultProxy(t, s)
			o := custom(t, s)
			o.Endpoint = proxy.URL
			b := open(t, impatient(o, proxy))
			key := b.Folder("acme") + "x.proof.json"
			if _, err := b.ReplaceSmall(t.Context(), key, []byte("old"), "application/json"); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancelCause(t.Context())
			defer cancel(nil)
			if c.cancels {
				c.fault.Then = func() { cancel(why) }
			}
			proxy.Inject(c.fault)
			if _, err := b.ReplaceSmall(ctx, key, []byte("new"), "application/json"); (err != nil) != c.fails {
				t.Errorf("got the error %v", err)
			}
			if text := string(buckettest.Read(t, s, o.Bucket, key)); text != "new" {
				t.Errorf("the object holds %q", text)
			}
		})
	}
}

// A read that its caller ended says nothing about the network.
func TestAReadThatIsInterrupted(t *testing.T) {
	t.Parallel()
	s := buckettest.Shared(t)
	proxy := buckettest.StartFaultProxy(t, s)
	o := custom(t, s)
	o.Endpoint = proxy.URL
	b := open(t, impatient(o, proxy))
	key := b.Folder("acme") + "x"
	if _, err := b.PutSmall(t.Context(), key, make([]byte, mebibyte), "text/plain"); err != nil {
		t.Fatal(err)
	}
	proxy.Inject(buckettest.Fault{Operation: "GetObject", Way: buckettest.StallBody})
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	r, err := b.Get(ctx, key)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Close() }()
	if _, err := r.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	why := errors.New("the tenant's time is over")
	cancel(why)
	_, err = io.ReadAll(r)
	if e := (*bucket.Error)(nil); !errors.Is(err, why) || !errors.As(err, &e) || e.Cause() != "" {
		t.Errorf("got %v", err)
	}
}

// A key that a batch could not delete for the moment is tried once more, and what remains says that it is the store.
func TestDeleteTriesOnceMore(t *testing.T) {
	t.Parallel()
	s := buckettest.Shared(t)
	proxy := buckettest.StartFaultProxy(t, s)
	b := open(t, bucket.Impatient(bucket.WithDial(amazon(t, s), strings.TrimPrefix(proxy.URL, "https://")), patience))
	busy, fine := b.Folder("acme")+"busy", b.Folder("acme")+"fine"
	proxy.DenyDelete(busy, "InternalError", "We encountered an internal error. Please try again.")
	deleted, err := b.Delete(t.Context(), []string{busy, fine})
	checkError(t, err, "busy: 500 InternalError", "usually temporary")
	if len(deleted.Keys) != 1 || deleted.Keys[0] != fine || proxy.Calls("DeleteObjects") != 2 {
		t.Errorf("deleted %v with %d requests", deleted.Keys, proxy.Calls("DeleteObjects"))
	}
}
