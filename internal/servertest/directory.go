package servertest

import "golang.org/x/sys/unix"

// Directory returns where to put a server's files: in memory (/dev/shm) if it has at least that many bytes free, or
// else "", which stands for the system's temporary directory. (A container's /dev/shm has 64 MB.)
func Directory(least uint64) string {
	const memory = "/dev/shm"
	var free unix.Statfs_t
	if err := unix.Statfs(memory, &free); err != nil || free.Bavail*uint64(free.Bsize) < least {
		return ""
	}
	return memory
}
