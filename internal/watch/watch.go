// Package watch tells when a file of the operator has changed. What the file
// holds is for those who read it.
package watch

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"
	"unicode/utf8"
)

// Interval is how long a change of a file may go unnoticed.
const Interval = 5 * time.Second

// File is a text file that is looked at again and again. One goroutine at a
// time may use it.
type File struct {
	Path string // empty: there is no file, and it never changes
	seen string // tells the last look from the next
}

// Look returns the content of the file if it has changed since the last look. A
// file that is not there is empty. One that cannot be read or is no UTF-8 is an
// error, told once.
func (f *File) Look() (content []byte, changed bool, err error) {
	if f.Path == "" {
		return nil, false, nil
	}
	content, err = os.ReadFile(f.Path)
	look := ""
	switch {
	case errors.Is(err, fs.ErrNotExist):
		look, err = "missing", nil
	case err != nil:
		look = err.Error()
	default:
		sum := sha256.Sum256(content)
		look = hex.EncodeToString(sum[:])
		if !utf8.Valid(content) {
			content, err = nil, fmt.Errorf("read %s: it is not UTF-8", f.Path)
		}
	}
	if look == f.seen {
		return nil, false, nil
	}
	f.seen = look
	return content, true, err
}

// Every calls look once in each Interval until ctx ends.
func Every(ctx context.Context, look func()) error {
	tick := time.NewTicker(Interval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			look()
		}
	}
}
