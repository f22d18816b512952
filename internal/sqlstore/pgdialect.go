package sqlstore

import (
	"errors"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
)

var postgresDialect = dialect{
	others: true,
	taken:  func(err error) bool { return pgCode(err) == "23505" },
	undone: func(err error) bool {
		if l, ok := errors.AsType[*lost](err); ok {
			return l.unsent
		}
		e, ok := errors.AsType[*pgconn.PgError](err)
		// An error of the statement, and not the end of the session: the transaction was rolled back.
		return ok && pgSeverity(e) == "ERROR" && e.Code != "40003" && !pgGone(err)
	},
	again: func(err error) bool {
		if l, ok := errors.AsType[*lost](err); ok {
			return !l.connecting && !errors.Is(err, errSilent) // what has taken so long would do so again
		}
		switch pgCode(err) {
		case "40001", "40P01": // it gave way to another transaction
			return true
		}
		return pgGone(err)
	},
	away: func(err error) bool {
		if _, ok := errors.AsType[*lost](err); ok || pgGone(err) || errors.Is(err, errPoolClosed) {
			return true
		}
		switch code := pgCode(err); code {
		case "40001", "40P01", "55P03", "57014", "25006": // it gave way, a lock was not to be had, a standby
			return true
		default:
			return strings.HasPrefix(code, "53") || strings.HasPrefix(code, "58") // out of disk, memory or connections; input and output
		}
	},
	why: func(err error) (string, bool) {
		switch code := pgCode(err); {
		case strings.HasPrefix(code, "28"):
			return "the server refuses the user or the password", true
		case code == "3D000":
			return "it does not exist: create it, with the encoding UTF8", true
		case code == "42501":
			return "its user may not do what is needed: tables are made by `latchkey migrate`, whose user must be allowed to create them, and to grant their use to the others", true
		case code == "53300":
			return "the server has no connection left", true
		}
		if l, ok := errors.AsType[*lost](err); ok && l.connecting {
			return "the server cannot be reached", true
		}
		return "", false
	},
	like:      "(%[1]s LIKE %[2]s OR position(chr(1) in %[1]s) > 0)", // some characters are kept as several, see pgText
	wildcards: likePattern,
	oldest:    "created_at, id",
	groups:    true,
}

// likePattern returns a pattern of package pattern, in which * and ? are wild and \
// takes that from what follows, in the language of LIKE.
func likePattern(pattern string) string {
	var b strings.Builder
	literal := false
	for i, r := range pattern {
		switch {
		case r == '\\' && !literal && i+1 < len(pattern):
			literal = true
			continue
		case r == '*' && !literal:
			b.WriteByte('%')
		case r == '?' && !literal:
			b.WriteByte('_')
		case r == '%', r == '_', r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		default:
			b.WriteRune(r)
		}
		literal = false
	}
	return b.String()
}

// pgCode returns the code by which the server tells an error, or "".
func pgCode(err error) string {
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		return e.Code
	}
	return ""
}

// pgGone reports whether an error means that the session is at its end: it was
// lost, or ended by the server.
func pgGone(err error) bool {
	if l, ok := errors.AsType[*lost](err); ok {
		return !l.connecting
	}
	code := pgCode(err)
	return strings.HasPrefix(code, "08") || strings.HasPrefix(code, "57P") || code == "25P03"
}

// pgSeverity is what the server calls an error in every language, if it is new enough to say.
func pgSeverity(e *pgconn.PgError) string {
	if e.SeverityUnlocalized != "" {
		return e.SeverityUnlocalized
	}
	return e.Severity
}
