package bucket_test

import (
	"crypto/sha256"
	"fmt"
	"hash/crc32"
	"io"
	"maps"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/org/neon-tenants-action/internal/bucket"
	"github.com/org/neon-tenants-action/internal/bucket/buckettest"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func TestUpload(t *testing.T) {
	s := buckettest.Shared(t)
	for _, setting := range []struct {
		name    string
		options bucket.Options
	}{
		{"custom", custom(t, s)},
		{"amazon", amazon(t, s)},
	} {
		t.Run(setting.name, func(t *testing.T) {
			t.Parallel()
			b := open(t, setting.options)
			for i, test := range []struct{ size, estimate int64 }{
				{0, 0}, {1, 0}, {300_000, 1}, {8 * mebibyte, 0}, {8*mebibyte + 1, 0}, {33*mebibyte + 17, 0},
				// parts of more than 16 MiB, to which the SDK adds no trailing checksum over TLS
				{30*mebibyte + 1, 200 << 30},
			} {
				t.Run(fmt.Sprint(test.size), func(t *testing.T) {
					key := keyAt(b, "acme", noon.Add(time.Duration(i)*time.Second))
					info := bucket.Info{SizeEstimate: test.estimate, ContentType: "application/gzip", Metadata: map[string]string{
						"tenant":  "Åcme, Inc. 株式会社 with a name that is so long that it takes more than one encoded word",
						"version": "20240101",
					}}
					stored, err := write(t.Context(), b, key, test.size, info)
					if err != nil {
						t.Fatal(err)
					}
					if stored.Size != test.size || stored.Key != key || stored.Checked != "crc32c" {
						t.Errorf("stored %+v", stored)
					}
					r, err := b.Get(t.Context(), key)
					if err != nil {
						t.Fatal(err)
					}
					defer r.Close()
					sum, crc := sha256.New(), crc32.New(crc32.MakeTable(crc32.Castagnoli))
					if n, err := io.Copy(io.MultiWriter(sum, crc), r); err != nil || n != test.size {
						t.Fatalf("read %d bytes: %v", n, err)
					}
					if [32]byte(sum.Sum(nil)) != stored.SHA256 || crc.Sum32() != stored.CRC32C {
						t.Error("what was read is not what was written")
					}
					if !maps.Equal(r.Metadata, info.Metadata) {
						t.Errorf("metadata %q, want %q", r.Metadata, info.Metadata)
					}
					if test.size > 9*mebibyte {
						return
					}
					if _, err := write(t.Context(), b, key, test.size, info); err == nil {
						t.Error("an object was overwritten")
					} else if _, err := b.Head(t.Context(), key); err != nil {
						t.Errorf("the first one is gone: %v", err)
					}
				})
			}
		})
	}
}

func TestParts(t *testing.T) {
	t.Parallel()
	s := buckettest.Shared(t)
	proxy := buckettest.StartFaultProxy(t, s)
	o := custom(t, s)
	o.Endpoint = proxy.URL
	b := open(t, o)
	// 120 GiB and a quarter more in 9,000 parts of 17 MiB
	info := bucket.Info{SizeEstimate: 120 << 30}
	if _, err := write(t.Context(), b, b.Folder("acme")+"large", 40*mebibyte, info); err != nil {
		t.Fatal(err)
	}
	out, err := s.Client().GetObjectAttributes(t.Context(), &s3.GetObjectAttributesInput{
		Bucket: &o.Bucket, Key: ptr(b.Folder("acme") + "large"),
		ObjectAttributes: []types.ObjectAttributes{"ObjectParts", "Checksum"},
	})
	if err != nil {
		t.Fatal(err)
	}
	if n := proxy.Calls("UploadPart"); n != 3 {
		t.Errorf("%d parts", n)
	}
	if out.Checksum == nil || out.Checksum.ChecksumCRC32C == nil {
		t.Errorf("the store has no checksum of the whole: %+v", out)
	}
}

func ptr[T any](v T) *T { return &v }

// TestFallback is about stores that know no CRC32C or no conditional writes.
func TestFallback(t *testing.T) {
	s := buckettest.Shared(t)
	for _, unknown := range [][]string{
		{"X-Amz-Checksum-Crc32c", "X-Amz-Checksum-Algorithm", "X-Amz-Checksum-Type"},
		{"If-None-Match"},
		{"X-Amz-Checksum-Crc32c", "If-None-Match"},
	} {
		t.Run(fmt.Sprint(unknown), func(t *testing.T) {
			t.Parallel()
			proxy := buckettest.StartFaultProxy(t, s)
			o := custom(t, s)
			o.Endpoint = proxy.URL
			b := open(t, o)
			proxy.RefuseHeaders(unknown...)
			for i, size := range []int64{10, 8*mebibyte + 1} {
				key := keyAt(b, "acme", noon.Add(time.Duration(i)*time.Second))
				stored, err := write(t.Context(), b, key, size, bucket.Info{})
				if err != nil {
					t.Fatal(err)
				}
				if stored.Checked != "md5" {
					t.Errorf("checked by %s", stored.Checked)
				}
				if _, err := write(t.Context(), b, key, size, bucket.Info{}); err == nil {
					t.Error("an object was overwritten")
				}
			}
			if keys := proxy.Unfinished(); len(keys) > 0 {
				t.Errorf("unfinished: %v", keys)
			}
		})
	}
}

// TestSizes computes that a backup fits into its parts, however large the database.
func TestSizes(t *testing.T) {
	const tebibyte = 1 << 40
	for _, estimate := range []int64{
		0, 1, 8 * mebibyte, 56 << 30, 57 << 30, 500 << 30, tebibyte, 5 * tebibyte, 32 * tebibyte,
	} {
		size := bucket.PartSize(estimate)
		if size < bucket.MinPartSize || size > bucket.MaxPartSize || size%(256<<10) != 0 {
			t.Errorf("an estimate of %d gives parts of %d", estimate, size)
		}
		var equal, grown int64
		for n := int32(1); n <= bucket.MaxParts; n++ {
			equal += bucket.GrownSize(size, n, true)
			grown += bucket.GrownSize(size, n, false)
			if g := bucket.GrownSize(size, n, false); g > bucket.MaxPartSize {
				t.Fatalf("part %d of %d bytes", n, g)
			}
		}
		t.Logf("estimate %8.1f GiB: parts of %5.1f MiB, room for %8.1f GiB in equal parts, %8.1f GiB in growing ones",
			float64(estimate)/(1<<30), float64(size)/mebibyte, float64(equal)/(1<<30), float64(grown)/(1<<30))
		if equal < estimate*5/4 || grown < tebibyte {
			t.Errorf("an estimate of %d leaves room for %d and %d", estimate, equal, grown)
		}
	}
	if equal := bucket.PartSize(5*tebibyte) * bucket.MaxParts; equal < 5*tebibyte*5/4 {
		t.Errorf("room for %d only", equal)
	}
}
