package servertest

import "golang.org/x/sys/unix"

// Directory is where a server's files go: into memory where there is plenty of it, in bytes, and else into the system's
// temporary directory, as "". (A container's /dev/shm has 64 MB, which is not plenty.)
func Directory(plenty uint64) string {
	const memory = "/dev/shm"
	var free unix.Statfs_t
	if err := unix.Statfs(memory, &free); err != nil || free.Bavail*uint64(free.Bsize) < plenty {
		return ""
	}
	return memory
}
