// Package backups is what a backup is: the key it is stored under, the manifest beside it that makes it one, which tenant
// it is of, and which ones a retention policy keeps. The decisions are pure; [Store] carries them out in a bucket.
package backups

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The endings of a backup's key: what a reader has to undo.
const (
	PlainGzip = ".sql.gz"
	PlainZstd = ".sql.zst"
	Custom    = ".dump" // pg_dump's own archive, compressed in itself

	encryptedSuffix = ".age"
	manifestSuffix  = ".json"
	timeLayout      = "20060102T150405Z"
)

var kinds = []string{PlainGzip, PlainZstd, Custom}

// Key names a backup. Its text sorts by time within a folder.
type Key struct {
	Folder    string    // as of [Bucket.Folder]
	Time      time.Time // when the dump began; whole seconds, UTC
	Major     int       // of pg_dump and of the server, which are the same
	Kind      string    // PlainGzip, PlainZstd or Custom
	Encrypted bool      // to age recipients
}

// String is the object's key: FOLDER/20261122T031500Z-pg17.sql.gz, with .age behind it where it is encrypted.
func (k Key) String() string {
	text := fmt.Sprintf("%s%s-pg%d%s", k.Folder, k.Time.UTC().Format(timeLayout), k.Major, k.Kind)
	if k.Encrypted {
		text += encryptedSuffix
	}
	return text
}

// Manifest is the key of the backup's manifest.
func (k Key) Manifest() string { return k.String() + manifestSuffix }

// ParseKey reads the key of a backup directly in a folder. ok is false for every key that String would not have written so:
// what is not exactly of our shape is not ours.
func ParseKey(folder, key string) (k Key, ok bool) {
	name, ok := strings.CutPrefix(key, folder)
	if !ok || (folder != "" && !strings.HasSuffix(folder, "/")) {
		return Key{}, false
	}
	k.Folder = folder
	name, k.Encrypted = strings.CutSuffix(name, encryptedSuffix)
	i := slices.IndexFunc(kinds, func(kind string) bool { return strings.HasSuffix(name, kind) })
	if i < 0 {
		return Key{}, false
	}
	k.Kind = kinds[i]
	at, major, _ := strings.Cut(strings.TrimSuffix(name, k.Kind), "-pg")
	var err, err2 error
	k.Time, err = time.Parse(timeLayout, at)
	k.Major, err2 = strconv.Atoi(major)
	if err != nil || err2 != nil || k.Major < 1 || k.Major > 999 || k.String() != key {
		return Key{}, false
	}
	return k, true
}
