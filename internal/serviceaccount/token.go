// Package serviceaccount holds the built-in service accounts and their tokens:
// it makes, lists, verifies and deletes those that the store keeps, and reads
// those of the file service_tokens. It leaves storage to its [Store] and the
// shapes of the wire to the edge.
package serviceaccount

import (
	"context"
	"encoding/base64"
	"strings"
	"time"
	"unicode/utf8"

	"latchkey/internal/fault"
)

// Token is a token as stored. The secret is not kept, only its hash.
type Token struct {
	Account   string // namespace/service
	Name      string
	Hash      string // a stored form of package secret
	CreatedAt time.Time
}

// Store is what this package needs from storage. Every method is one atomic
// change or one consistent read. Names differ by letter case; times are kept to
// the millisecond.
type Store interface {
	// InsertServiceToken adds a token, or returns fault.Conflict if its account
	// has one of that name.
	InsertServiceToken(ctx context.Context, t Token) error

	// ForgetServiceTokens has the other nodes look up these tokens, account/name,
	// anew, or all for no names, before it returns. It changes nothing.
	ForgetServiceTokens(ctx context.Context, names []string) error

	// ServiceToken returns a token, or fault.NotFound.
	ServiceToken(ctx context.Context, account, name string) (Token, error)

	// ServiceTokens returns the names of an account's tokens, sorted.
	ServiceTokens(ctx context.Context, account string) ([]string, error)

	// DeleteServiceToken removes a token and reports whether there was one.
	//
	// deleted is called once the removal is durable, and before this call or any
	// later write is answered: whoever learns from a write that a token is gone
	// learns it after deleted has returned. It is not called where there was none.
	DeleteServiceToken(ctx context.Context, account, name string, deleted func()) (bool, error)
}

// A token goes over the wire as Base64 of the prefix, the account, a slash, the
// name, a colon and the secret (spec/identity.md 7.3).
const (
	prefix    = "\x00\x01\x00\x01"
	beginning = "AAEAA" // of the Base64 of whatever begins with the prefix
	minSecret = 10      // characters
)

func encode(account, name, secret string) string {
	return base64.RawStdEncoding.EncodeToString([]byte(prefix + account + "/" + name + ":" + secret))
}

// credential is a token as somebody shows it. Whether its account exists is not known.
type credential struct {
	key           string // account/name, which is also what the cache calls it
	account, name string
	secret        string
}

// decode reads what [encode] wrote, padded or not. What has another form is no
// service account token: ok is false.
func decode(value string) (c credential, ok bool) {
	if !strings.HasPrefix(value, beginning) {
		return c, false
	}
	raw, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(value, "="))
	if err != nil || !utf8.Valid(raw) {
		return c, false
	}
	text, marked := strings.CutPrefix(string(raw), prefix)
	c.key, c.secret, ok = strings.Cut(text, ":")
	if !marked || !ok || strings.Count(c.key, "/") != 2 {
		return c, false
	}
	slash := strings.LastIndexByte(c.key, '/')
	c.account, c.name = c.key[:slash], c.key[slash+1:]
	return c, validName(c.name)
}

const maxName = 256 // characters

// validName holds the grammar of token names (spec/identity.md 7.2).
func validName(name string) bool {
	return name != "" && len(name) <= maxName && name[0] != '_' && !strings.ContainsFunc(name, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '_'
	})
}

func nameProblem(name string) error {
	var p fault.Problems
	if !validName(name) {
		p.Add("a service token name must have 1 to %d characters of A-Z, a-z, 0-9, [-] and [_], and must not begin with [_]", maxName)
	}
	return p.Err(fault.Invalid)
}
