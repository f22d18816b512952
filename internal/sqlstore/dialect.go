package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"strings"
	"syscall"

	modernc "modernc.org/sqlite"
	"zombiezen.com/go/sqlite"

	"latchkey/internal/fault"
)

// dialect is what the engines do not share.
type dialect struct {
	others bool                       // there may be other writers: rows are locked and looked at again
	taken  func(error) bool           // a unique constraint was broken
	undone func(error) bool           // a commit that failed so was surely not done
	again  func(error) bool           // the transaction is void, and may succeed if it is run again
	away   func(error) bool           // the engine cannot do its work now: disk, memory, lock, connection
	why    func(error) (string, bool) // what a database that cannot be used has
	// like tests a column, the first verb, for the wildcards that are in the placeholder of the second one, in the form
	// that wildcards returns. It may be true of too much.
	like      string
	wildcards func(pattern string) string
	oldest    string // orders keys by their age, as well as it can be told without work
	groups    bool   // it counts equal rows in less time than it takes to hand out all of them
}

var placeholder = regexp.MustCompile(`\$(\d+)`)

// numbered is a query for SQLite, which reads $2 as a name and numbers names by
// first appearance, so that "... $2 ... $1 ..." would silently swap its arguments. ?2 means 2.
func numbered(query string) string { return placeholder.ReplaceAllString(query, "?$1") }

var sqliteDialect = dialect{
	taken: func(err error) bool {
		code := codeOf(err)
		return code == sqlite.ResultConstraintPrimaryKey || code == sqlite.ResultConstraintUnique
	},
	undone: func(err error) bool {
		// A full disk means that a page could not be written to the log, and the page that makes a
		// transaction count is the last. What fails later (sync, shared memory) has other codes.
		return codeOf(err).ToPrimary() == sqlite.ResultFull
	},
	again: func(error) bool { return false },
	away: func(err error) bool {
		switch codeOf(err).ToPrimary() {
		case sqlite.ResultBusy, sqlite.ResultLocked, sqlite.ResultNoMem, sqlite.ResultReadOnly, sqlite.ResultIOErr, sqlite.ResultCorrupt,
			sqlite.ResultFull, sqlite.ResultCantOpen, sqlite.ResultNoLFS, sqlite.ResultNotADB:
			return true
		}
		return errors.Is(err, errPoolClosed)
	},
	why: func(err error) (string, bool) {
		code := codeOf(err).ToPrimary()
		switch {
		case code == sqlite.ResultReadOnly, errors.Is(err, syscall.EROFS):
			return "it may only be read: latchkey needs to write to the file and to its folder", true
		case code == sqlite.ResultCorrupt, code == sqlite.ResultNotADB:
			return "it is damaged or no database: restore it from a backup, or move it away to start with an empty store", true
		case code == sqlite.ResultFull, errors.Is(err, syscall.ENOSPC):
			return "the disk is full", true
		case code == sqlite.ResultCantOpen, errors.Is(err, fs.ErrPermission):
			return "it cannot be opened: check the owner and the mode of the file and of its folder", true
		}
		return "", false
	},
	like:      "(%[1]s GLOB %[2]s OR instr(%[1]s, char(0)) > 0)", // GLOB takes a NUL for the end of a text
	wildcards: glob,
	oldest:    "api_keys.rowid",
}

// glob returns a pattern of package pattern, in which * and ? are wild and \ takes
// that from what follows, in the language of GLOB, in which [ is wild as well.
func glob(pattern string) string {
	var b strings.Builder
	literal := false
	for i, r := range pattern {
		switch {
		case r == '\\' && !literal && i+1 < len(pattern):
			literal = true
			continue
		case r == '[', literal && (r == '*' || r == '?'):
			b.WriteString("[" + string(r) + "]")
		default:
			b.WriteRune(r)
		}
		literal = false
	}
	return b.String()
}

// codeOf returns the engine's code of an error: migrations meet the engine
// through database/sql, and all else directly.
func codeOf(err error) sqlite.ResultCode {
	if e, ok := errors.AsType[*modernc.Error](err); ok {
		return sqlite.ResultCode(e.Code())
	}
	return sqlite.ErrCode(err)
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
