package bucket

import (
	"crypto/md5" //nolint:gosec // the checksum of stores that lack CRC32C, not a protection
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"sync"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// part is one part of a stream, in memory.
type part struct {
	number int32
	limit  int64 // bytes
	size   int64 // bytes
	crc    uint32
	data   [][]byte // chunks
	chunks *chunks
	// extra is how many bytes of the shared budget it holds, 0 for the part that its stream is guaranteed.
	extra int64
}

// fill takes as much of p as there is room for, and returns how much that is.
func (t *part) fill(p []byte) (int, error) {
	p = p[:min(int64(len(p)), t.limit-t.size)]
	filled := len(p)
	t.crc = crc32.Update(t.crc, castagnoli, p)
	for len(p) > 0 {
		at := int(t.size % chunkSize)
		if at == 0 {
			chunk, err := t.chunks.get()
			if err != nil {
				return 0, fmt.Errorf("allocate memory for a part: %w", err)
			}
			t.data = append(t.data, chunk)
		}
		n := copy(t.data[len(t.data)-1][at:], p)
		t.size += int64(n)
		p = p[n:]
	}
	return filled, nil
}

func (t *part) full() bool { return t.size == t.limit }

func (t *part) free() {
	t.chunks.put(t.data)
	t.data, t.size, t.crc = nil, 0, 0
}

// md5 returns the checksum for stores that lack CRC32C.
func (t *part) md5() [md5.Size]byte {
	h := md5.New() //nolint:gosec // as above
	left := t.size
	for _, chunk := range t.data {
		h.Write(chunk[:min(left, chunkSize)])
		left -= chunkSize
	}
	return [md5.Size]byte(h.Sum(nil))
}

// body returns a reader of the part's bytes for one request. It must be detached before the part is freed: a transport
// may read from a body for a moment after its request has returned.
func (t *part) body() *body { return &body{part: t} }

type body struct {
	mu   sync.Mutex
	part *part // nil once detached
	at   int64
}

var errDetached = errors.New("the request has ended")

func (b *body) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.part == nil {
		return 0, errDetached
	}
	if b.at >= b.part.size {
		return 0, io.EOF
	}
	chunk := b.part.data[b.at/chunkSize]
	n := copy(p, chunk[b.at%chunkSize:min(chunkSize, b.at%chunkSize+b.part.size-b.at)])
	b.at += int64(n)
	return n, nil
}

func (b *body) Seek(offset int64, whence int) (int64, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.part == nil {
		return 0, errDetached
	}
	switch whence {
	case io.SeekCurrent:
		offset += b.at
	case io.SeekEnd:
		offset += b.part.size
	}
	if offset < 0 {
		return 0, errors.New("seek before the start of a part")
	}
	b.at = offset
	return offset, nil
}

func (b *body) detach() {
	b.mu.Lock()
	b.part = nil
	b.mu.Unlock()
}

// encodeCRC returns a CRC32C as S3 writes it in headers.
func encodeCRC(crc uint32) string {
	return base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32(nil, crc))
}
