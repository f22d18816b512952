package node

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"

	"github.com/gofrs/flock"
)

// ErrInUse says that another process holds the data folder.
var ErrInUse = errors.New("another process uses it")

// folder is the data folder, held against every other process.
type folder struct {
	dir  string
	lock *flock.Flock
}

// storeFile is the store's file in the data folder.
const storeFile = "latchkey.db"

// hold creates the data folder if need be, for its owner alone, and locks it.
func hold(dir string) (*folder, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, unusable(dir, err)
	}
	lock := flock.New(filepath.Join(dir, "node.lock"), flock.SetPermissions(0o600))
	switch ok, err := lock.TryLock(); {
	case err != nil:
		return nil, unusable(dir, err)
	case !ok:
		return nil, fmt.Errorf("the data folder [%s] cannot be used: %w; stop it, or give this one a folder of its own with path.data", absolute(dir), ErrInUse)
	}
	return &folder{dir, lock}, nil
}

// guard takes from others what they may do with the store's files, which a copy
// or a restored backup may have brought along, and warns of a folder that they
// may enter. That one may have its reasons.
func (f *folder) guard(log *slog.Logger) error {
	for _, suffix := range []string{"", "-wal", "-shm"} {
		path := filepath.Join(f.dir, storeFile+suffix)
		info, err := os.Stat(path)
		if errors.Is(err, fs.ErrNotExist) || err == nil && info.Mode().Perm()&0o077 == 0 {
			continue
		}
		if err == nil {
			err = os.Chmod(path, 0o600)
		}
		if err != nil {
			return unusable(f.dir, err)
		}
		log.Warn("others could use the store's file; its mode is 0600 now", "file", absolute(path), "was", fmt.Sprintf("%#o", info.Mode().Perm()))
	}
	info, err := os.Stat(f.dir)
	if err != nil {
		return unusable(f.dir, err)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		log.Warn("others may enter the data folder; unless that is meant, run chmod 700 on it", "folder", absolute(f.dir), "mode", fmt.Sprintf("%#o", mode))
	}
	return nil
}

// release lets go of the folder. The file stays: whoever deletes a lock lets two hold it.
func (f *folder) release() error { return f.lock.Unlock() }

func unusable(dir string, err error) error {
	why := "check the path, its owner and its mode"
	switch {
	case errors.Is(err, syscall.EROFS):
		why = "it is on a file system that may only be read"
	case errors.Is(err, syscall.ENOSPC):
		why = "the disk is full"
	case errors.Is(err, syscall.ENOTDIR), errors.Is(err, fs.ErrExist):
		why = "something on its path is a file"
	}
	return fmt.Errorf("the data folder [%s] cannot be used: %s (%w)", absolute(dir), why, err)
}
