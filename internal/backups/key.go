// Package backups defines what a backup is: its key, its manifest, which tenant it is of, and which backups a retention
// policy keeps. These decisions are pure functions; [Store] carries them out in a bucket.
package backups

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The kinds of backups, each the ending of a key: what a reader has to decode.
const (
	PlainGzip = ".sql.gz"
	PlainZstd = ".sql.zst"
	Custom    = ".dump" // pg_dump's own archive, which it compresses itself

	encryptedSuffix = ".age"
	manifestSuffix  = ".json"
	proofSuffix     = ".proof.json"
	timeLayout      = "20060102T150405Z"
)

var kinds = []string{PlainGzip, PlainZstd, Custom}

// Key is the key of a backup. Within a folder, the texts of keys sort by time.
type Key struct {
	Folder    string    // as [bucket.Bucket.Folder] returns it
	Time      time.Time // when the dump began; whole seconds, UTC
	Major     int       // version of pg_dump and of the server
	Kind      string    // PlainGzip, PlainZstd or Custom
	Encrypted bool      // to age recipients
}

// String returns the object's key: FOLDER/20261122T031500Z-pg17.sql.gz, followed by .age if it is encrypted.
func (k Key) String() string {
	text := fmt.Sprintf("%s%s-pg%d%s", k.Folder, k.Time.UTC().Format(timeLayout), k.Major, k.Kind)
	if k.Encrypted {
		text += encryptedSuffix
	}
	return text
}

// Manifest returns the key of the backup's manifest.
func (k Key) Manifest() string { return k.String() + manifestSuffix }

// ParseKey parses the key of a backup directly in a folder. ok is false for any key that [Key.String] does not return:
// it is not one of ours.
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
