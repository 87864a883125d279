package fleet

import (
	"fmt"
	"hash/fnv"
	"strconv"
	"strings"
)

// Shard is one of Count equal shares of a fleet, counted from 1. The zero value is the whole fleet.
type Shard struct{ Index, Count int }

// ParseShard reads "2/8", or "1+1/8" for where shards are counted from 0 and 1 has to be added. Its error says what to
// write instead.
func ParseShard(text string) (Shard, error) {
	index, count, ok := strings.Cut(text, "/")
	index, fromZero := strings.CutSuffix(strings.TrimSpace(index), "+1")
	i, err1 := strconv.Atoi(strings.TrimSpace(index))
	n, err2 := strconv.Atoi(strings.TrimSpace(count))
	if fromZero {
		i++
	}
	if !ok || err1 != nil || err2 != nil || n < 1 || i < 1 || i > n {
		return Shard{}, fmt.Errorf("%q is not a shard; write for example 2/8, the second of eight "+
			"(the first number must be from 1 to the second)", text)
	}
	return Shard{i, n}, nil
}

// String writes the shard as [ParseShard] reads it, and the whole fleet as "".
func (s Shard) String() string {
	if s.Count == 0 {
		return ""
	}
	return fmt.Sprintf("%d/%d", s.Index, s.Count)
}

// Has reports whether the tenant belongs to this share. That depends on the tenant's id alone, so a tenant stays in its
// shard while others come and go, and the shards of a run cover every tenant exactly once.
func (s Shard) Has(t Tenant) bool {
	if s.Count <= 1 {
		return true
	}
	h := fnv.New64a()
	_, _ = h.Write([]byte(t.ID))
	sum := h.Sum64()
	sum ^= sum >> 32 // FNV's low bits alone spread short ids unevenly
	return int(sum%uint64(s.Count)) == s.Index-1
}

// Select returns this share's tenants, in their order. Those of the whole fleet are the slice itself.
func (s Shard) Select(tenants []Tenant) []Tenant {
	if s.Count <= 1 {
		return tenants
	}
	var out []Tenant
	for _, t := range tenants {
		if s.Has(t) {
			out = append(out, t)
		}
	}
	return out
}
