package bucket_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"golang.org/x/sync/errgroup"

	"github.com/org/neon-tenants-action/internal/bucket"
	"github.com/org/neon-tenants-action/internal/bucket/buckettest"
)

// TestListAndDelete exceeds the thousand objects of a page and of a batch.
func TestListAndDelete(t *testing.T) {
	s := buckettest.Shared(t)
	for _, setting := range []struct {
		name    string
		options bucket.Options
		count   int
	}{
		{"custom", custom(t, s), 30},
		{"amazon", amazon(t, s), 1010},
	} {
		t.Run(setting.name, func(t *testing.T) {
			t.Parallel()
			b := open(t, setting.options)
			var want []string
			var group errgroup.Group
			group.SetLimit(16)
			put := func(key string) {
				group.Go(func() error {
					_, err := s.Client().PutObject(t.Context(), &s3.PutObjectInput{
						Bucket: aws.String(b.Name()), Key: &key, Body: strings.NewReader("x"),
					})
					return err
				})
			}
			for i := range setting.count {
				want = append(want, keyAt(b, "acme", noon.Add(time.Duration(i)*time.Hour)))
				put(want[i])
			}
			others := []string{b.Folder("acme") + "sub/x", keyAt(b, "acme-two", noon), b.Folder("acm") + "x"}
			for _, key := range others {
				put(key)
			}
			if err := group.Wait(); err != nil {
				t.Fatal(err)
			}
			list := func(folder string) (keys []string) {
				objects, err := b.List(t.Context(), b.Folder(folder))
				if err != nil {
					t.Fatal(err)
				}
				for _, o := range objects {
					keys = append(keys, o.Key)
				}
				return keys
			}
			if got := list("acme"); !slices.Equal(got, want) {
				t.Errorf("listed %d keys, want %d", len(got), len(want))
			}
			deleted, err := b.Delete(t.Context(), append(slices.Clone(want), b.Folder("acme")+"never-there"))
			if err != nil || len(deleted.Keys) != len(want)+1 || len(deleted.Retained) > 0 {
				t.Errorf("deleted %d, retained %d: %v", len(deleted.Keys), len(deleted.Retained), err)
			}
			if got := list("acme"); len(got) > 0 {
				t.Errorf("%d keys are left", len(got))
			}
			if got := list("acme-two"); len(got) != 1 {
				t.Errorf("another folder has %v", got)
			}
		})
	}
}

func TestDeleteFailures(t *testing.T) {
	s := buckettest.Shared(t)
	for name, setting := range map[string]func(*testing.T, *buckettest.Server) bucket.Options{
		"custom": custom, "amazon": amazon,
	} {
		o := setting(t, s)
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			proxy := buckettest.StartFaultProxy(t, s)
			o := o
			if name == "custom" {
				o.Endpoint = proxy.URL
			} else {
				o = bucket.WithDial(o, strings.TrimPrefix(proxy.URL, "https://"))
			}
			b := open(t, bucket.Impatient(o, patience))
			folder := b.Folder("acme")
			keys := []string{folder + "a", folder + "held", folder + "denied", folder + "b"}
			proxy.DenyDelete(folder+"held", "AccessDenied", "Access Denied because object protected by object lock.")
			proxy.DenyDelete(folder+"denied", "AccessDenied", "Access Denied")
			deleted, err := b.Delete(t.Context(), keys)
			if err == nil || !strings.Contains(err.Error(), "denied: 403 AccessDenied: Access Denied") {
				t.Errorf("error %v", err)
			}
			if want := []string{folder + "a", folder + "b"}; !slices.Equal(deleted.Keys, want) {
				t.Errorf("deleted %v, want %v", deleted.Keys, want)
			}
			if want := []string{folder + "held"}; !slices.Equal(deleted.Retained, want) {
				t.Errorf("retained %v", deleted.Retained)
			}
		})
	}
}

// TestObjectLock writes to a bucket with Object Lock. MinIO hides a deleted object behind a marker, as AWS does.
func TestObjectLock(t *testing.T) {
	s := buckettest.Shared(t)
	o := custom(t, s)
	o.Bucket, o.ObjectLockDays = buckettest.Bucket(t, s, true), 2
	b := open(t, o)
	for i, size := range []int64{small, large} {
		key := keyAt(b, "acme", noon.Add(time.Duration(i)*time.Second))
		kept := writeHeld(t, s, b, o.Bucket, key, size)
		if until := *kept.RetainUntilDate; time.Until(until) < 47*time.Hour || kept.Mode != "GOVERNANCE" {
			t.Errorf("retained until %s, %s", until, kept.Mode)
		}
		if o, err := b.Head(t.Context(), key); err != nil || !o.Held(time.Now()) || o.Held(time.Now().Add(49*time.Hour)) {
			t.Errorf("looks as if it were not held for two days: %+v, %v", o, err)
		}
		if deleted, err := b.Delete(t.Context(), []string{key}); err != nil || len(deleted.Keys) != 1 ||
			len(deleted.Marked) != 1 {
			t.Errorf("deleted %+v, %v", deleted, err)
		}
	}
}

// writeHeld writes an object, and returns for how long the store holds it.
func writeHeld(
	t *testing.T, s *buckettest.Server, b *bucket.Bucket, name, key string, size int64,
) *types.ObjectLockRetention {
	t.Helper()
	if _, err := write(t.Context(), b, key, size, bucket.Info{}); err != nil {
		t.Fatal(err)
	}
	kept, err := s.Client().GetObjectRetention(t.Context(), &s3.GetObjectRetentionInput{Bucket: &name, Key: &key})
	if err != nil {
		t.Fatal(err)
	}
	return kept.Retention
}

// The day goes by the store's clock: by that of a runner that is behind, an object would be deletable too early.
func TestObjectLockGoesByTheStoresClock(t *testing.T) {
	s := buckettest.Shared(t)
	proxy := buckettest.StartFaultProxy(t, s)
	proxy.ShiftClock(10 * time.Minute)
	o := custom(t, s)
	o.Endpoint, o.Bucket, o.ObjectLockDays = proxy.URL, buckettest.Bucket(t, s, true), 2
	b := open(t, o)
	for i, size := range []int64{small, large} {
		key := keyAt(b, "acme", noon.Add(time.Duration(i)*time.Second))
		kept := writeHeld(t, s, b, o.Bucket, key, size)
		if off := b.Now().AddDate(0, 0, 2).Sub(*kept.RetainUntilDate); off.Abs() > time.Minute {
			t.Errorf("retained until %s, which is off by %s", kept.RetainUntilDate, off)
		}
	}
}

// TestDeleteTellsMarksFromDeletions deletes in a bucket with versions and in one without, in batches and one by one.
func TestDeleteTellsMarksFromDeletions(t *testing.T) {
	s := buckettest.Shared(t)
	for name, options := range map[string]bucket.Options{"one by one": custom(t, s), "in batches": amazon(t, s)} {
		for _, versions := range []bool{false, true} {
			options.Bucket = buckettest.Bucket(t, s, versions)
			b := open(t, options)
			key := b.Folder("acme") + "a"
			if _, err := b.PutSmall(t.Context(), key, []byte("x"), "text/plain"); err != nil {
				t.Fatal(err)
			}
			d, err := b.Delete(t.Context(), []string{key})
			if err != nil || !slices.Equal(d.Keys, []string{key}) || slices.Equal(d.Marked, []string{key}) != versions {
				t.Errorf("%s, versions %t: %+v, %v", name, versions, d, err)
			}
		}
	}
}

func TestGet(t *testing.T) {
	s := buckettest.Shared(t)
	contents := make([]byte, 5*mebibyte)
	if _, err := io.ReadFull(bytesOf(int64(len(contents))), contents); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name   string
		faults []buckettest.Fault
		want   string
		cause  bucket.Cause
	}{
		{name: "in one go"},
		{name: "cut three times", faults: []buckettest.Fault{{Operation: "GetObject", Times: 3, Way: buckettest.CutBody}}},
		{name: "stalled", faults: []buckettest.Fault{{Operation: "GetObject", Times: 1, Way: buckettest.StallBody}}},
		{name: "cut again and again", faults: []buckettest.Fault{
			{Operation: "GetObject", Nth: 1, Times: 1, Way: buckettest.CutBody},
			{Operation: "GetObject", Nth: 1, Way: buckettest.Cut},
		}, want: "EOF"},
		{name: "damaged", faults: []buckettest.Fault{
			{Operation: "GetObject", Way: buckettest.DamageBody},
		}, want: "was damaged", cause: bucket.ObjectDamaged},
		{name: "refused", faults: []buckettest.Fault{{Operation: "GetObject"}}, want: "403"},
		{name: "replaced", faults: []buckettest.Fault{
			{Operation: "GetObject", Times: 1, Way: buckettest.CutBody},
			{Operation: "GetObject", Status: http.StatusPreconditionFailed, Code: "PreconditionFailed"},
		}, want: "412"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			proxy := buckettest.StartFaultProxy(t, s)
			o := custom(t, s)
			o.Endpoint = proxy.URL
			b := open(t, impatient(o, proxy))
			key := b.Folder("acme") + "x"
			if _, err := b.PutSmall(t.Context(), key, contents, "text/plain"); err != nil {
				t.Fatal(err)
			}
			for _, fault := range test.faults {
				proxy.Inject(fault)
			}
			var got []byte
			r, err := b.Get(t.Context(), key)
			if err == nil {
				defer r.Close()
				got, err = io.ReadAll(r)
			}
			if test.want != "" {
				if err == nil || !strings.Contains(err.Error(), test.want) {
					t.Errorf("error %v, want %q", err, test.want)
				}
				if e := (*bucket.Error)(nil); test.cause != "" && (!errors.As(err, &e) || e.Cause() != test.cause) {
					t.Errorf("the cause of %v is not %s", err, test.cause)
				}
				return
			}
			if err != nil || !bytes.Equal(got, contents) {
				t.Errorf("read %d bytes: %v", len(got), err)
			}
		})
	}
	t.Run("not there", func(t *testing.T) {
		b := open(t, custom(t, s))
		if _, err := b.Get(t.Context(), "nothing"); !bucket.IsNotFound(err) {
			t.Errorf("error %v", err)
		}
	})
}

// TestManyStreams uploads more streams than there is memory for at once.
func TestManyStreams(t *testing.T) {
	s := buckettest.Shared(t)
	o := custom(t, s)
	o.Streams = 2
	b := open(t, o)
	var group errgroup.Group
	for i := range 6 {
		group.Go(func() error {
			size := int64(17*mebibyte + i)
			info := bucket.Info{SizeEstimate: int64(i) * 20 << 30}
			stored, err := write(t.Context(), b, fmt.Sprint(b.Folder("many"), i), size, info)
			if err == nil && stored.Size != size {
				err = fmt.Errorf("stored %d bytes of %d", stored.Size, size)
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		t.Error(err)
	}
}
