package pgtest

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

// account is the account that the server runs as. PostgreSQL refuses to run as root.
type account struct {
	switched bool // from root to uid and gid
	uid, gid int
}

// serverAccount is the caller's account or, for root, the first that exists of postgres and nobody.
func serverAccount() (account, error) {
	if os.Geteuid() != 0 {
		return account{}, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err1 := strconv.Atoi(u.Uid)
		gid, err2 := strconv.Atoi(u.Gid)
		if err := errors.Join(err1, err2); err != nil {
			return account{}, fmt.Errorf("look up the account %s: %w", name, err)
		}
		return account{switched: true, uid: uid, gid: gid}, nil
	}
	return account{}, errors.New("PostgreSQL does not run as root, " +
		"and there is no account postgres or nobody to run it as")
}

// own makes the account the owner of a directory and everything in it.
func (a account) own(dir string) error {
	if !a.switched {
		return nil
	}
	return filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return fmt.Errorf("give %s to PostgreSQL's account: %w", dir, err)
		}
		return os.Lchown(path, a.uid, a.gid)
	})
}

// attributes are for a process that runs as the account, in a process group of its own: the caller handles a Ctrl-C in
// the terminal and shuts the server down.
func (a account) attributes() *syscall.SysProcAttr {
	attributes := &syscall.SysProcAttr{Setpgid: true}
	if a.switched {
		attributes.Credential = &syscall.Credential{Uid: uint32(a.uid), Gid: uint32(a.gid)}
	}
	return attributes
}
