package pgdump

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
)

// unpack has pg_restore turn the archive into SQL, and loads that.
func (r *restore) unpack(ctx context.Context, l *load) error {
	stdin, archive, err := pipe()
	if err != nil {
		return fmt.Errorf("%s: %w", r.task, err)
	}
	sql, stdout, err := pipe()
	if err != nil {
		return errors.Join(fmt.Errorf("%s: %w", r.task, err), stdin.Close(), archive.Close())
	}
	defer sql.Close()
	args := []string{"--no-owner", "--no-privileges", "--exit-on-error", "--file=-"}
	pgRestore, err := startChild(r.clients.Restore, args, baseEnvironment(), stdin, stdout)
	if err != nil {
		return errors.Join(fmt.Errorf("%s: %w", r.task, err), archive.Close())
	}
	defer context.AfterFunc(ctx, pgRestore.kill)()
	fed := make(chan error, 1)
	go func() {
		err := copyArchive(archive, r.in)
		if err != nil { // pg_restore must not take a part for the whole
			pgRestore.kill()
		}
		fed <- errors.Join(err, archive.Close())
	}()
	l.script.r = sql
	loadErr := l.run(ctx)
	if loadErr != nil {
		r.stop(errStopped) // there may be much more of the archive
		pgRestore.kill()
	}
	_ = sql.Close()
	feedErr, exit := <-fed, pgRestore.wait()
	if feedErr != nil && !errors.Is(feedErr, errStopped) {
		return feedErr
	}
	// If pg_restore gave up, that is why its SQL is cut off.
	var exited *exec.ExitError
	gaveUp := errors.As(exit, &exited) && exited.Exited()
	if cut := (*BackupError)(nil); loadErr != nil && (!gaveUp || !errors.As(loadErr, &cut)) {
		return loadErr
	}
	if exit != nil {
		return unreadableArchive(r.o.Major, pgRestore, exit)
	}
	return nil
}

// copyArchive copies an archive to pg_restore, which may stop reading before the end.
func copyArchive(w *os.File, in *stored) error {
	full := false
	return readAll(in, func(p []byte) {
		if len(p) > 0 && !full {
			_, err := w.Write(p)
			full = err != nil
		}
	})
}
