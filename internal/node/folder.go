package node

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/gofrs/flock"
)

// ErrInUse says that another process holds the data folder.
var ErrInUse = errors.New("another process uses it")

// folder is the data folder, held against every other process.
type folder struct{ lock *flock.Flock }

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
		return nil, fmt.Errorf("the data folder [%s] cannot be used: %w; stop it, or give this one a folder of its own with path.data", dir, ErrInUse)
	}
	return &folder{lock}, nil
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
	return fmt.Errorf("the data folder [%s] cannot be used: %s (%w)", dir, why, err)
}
