package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"syscall"

	"modernc.org/sqlite"

	"latchkey/internal/fault"
)

// dialect is what the engines do not share.
type dialect struct {
	bind  func(query string) string
	begin string                     // starts a transaction that may write
	taken func(error) bool           // a unique constraint was broken
	full  func(error) bool           // the disk is full, so that even a commit that failed so was surely not done
	away  func(error) bool           // the engine cannot do its work now: disk, memory, lock, connection
	why   func(error) (string, bool) // what a database file that cannot be used has
}

var placeholder = regexp.MustCompile(`\$(\d+)`)

var sqliteDialect = dialect{
	// SQLite reads $2 as a name and numbers names by first appearance, so
	// "... $2 ... $1 ..." would silently swap its arguments. ?2 means 2.
	bind:  func(q string) string { return placeholder.ReplaceAllString(q, "?$1") },
	begin: "BEGIN IMMEDIATE",
	taken: func(err error) bool {
		e, ok := errors.AsType[*sqlite.Error](err)
		return ok && (e.Code() == 1555 || e.Code() == 2067) // SQLITE_CONSTRAINT_PRIMARYKEY, _UNIQUE
	},
	full: func(err error) bool {
		// It means that a page could not be written to the log, and the page that makes a
		// transaction count is the last. What fails later (sync, shared memory) has other codes.
		e, ok := errors.AsType[*sqlite.Error](err)
		return ok && e.Code()&0xff == 13
	},
	away: func(err error) bool {
		e, ok := errors.AsType[*sqlite.Error](err)
		if !ok {
			return errors.Is(err, sql.ErrConnDone)
		}
		switch e.Code() & 0xff {
		case 5, 6, 7, 8, 10, 11, 13, 14, 22, 26: // BUSY, LOCKED, NOMEM, READONLY, IOERR, CORRUPT, FULL, CANTOPEN, NOLFS, NOTADB
			return true
		}
		return false
	},
	why: func(err error) (string, bool) {
		code := 0
		if e, ok := errors.AsType[*sqlite.Error](err); ok {
			code = e.Code() & 0xff
		}
		switch {
		case code == 8, errors.Is(err, syscall.EROFS):
			return "it may only be read: latchkey needs to write to the file and to its folder", true
		case code == 11, code == 26:
			return "it is damaged or no database: restore it from a backup, or move it away to start with an empty store", true
		case code == 13, errors.Is(err, syscall.ENOSPC):
			return "the disk is full", true
		case code == 14, errors.Is(err, fs.ErrPermission):
			return "it cannot be opened: check the owner and the mode of the file and of its folder", true
		}
		return "", false
	},
}

// classify turns an error of the engine into a fault where the caller can act
// on it. Faults and sql.ErrNoRows pass unchanged.
func (d *dialect) classify(err error) error {
	switch {
	case err == nil || fault.KindOf(err) != fault.Internal:
		return err
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return fault.Wrap(err, fault.Unavailable, "the request was given up before the store answered")
	case d.away(err):
		return fault.Wrap(err, fault.Unavailable, "the store is not available")
	}
	return err
}

// explain says what the operator can do about a database that does not open.
func (d *dialect) explain(path string, err error) error {
	if why, ok := d.why(err); ok {
		return fmt.Errorf("the database [%s] cannot be used: %s (%w)", path, why, err)
	}
	return fmt.Errorf("the database [%s] cannot be used: %w", path, err)
}
