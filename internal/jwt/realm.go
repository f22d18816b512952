// Package jwt is the realm of those who show a JSON Web Token (RFC 7519) that
// somebody else has signed. It also holds what other realms of signed tokens
// need: keys and where they come from, the verification of tokens, and how
// claims make a user.
//
// The cryptography is go-jose's.
package jwt

import (
	"context"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"latchkey/internal/access"
	"latchkey/internal/cache"
	"latchkey/internal/fault"
	"latchkey/internal/pattern"
	"latchkey/internal/secret"
	"latchkey/internal/xcontent"
)

// Type is the type of the realm, as clients see it.
const Type = "jwt"

// Options says how a [Realm] works. The claims of a [Mapping], and what [Verifier]
// says of them, come from the settings of the realm.
type Options struct {
	Directory Directory
	Verifier  Verifier
	Mapping   Mapping
	// Subjects and SubjectPatterns (spec/identity.md 0.4) are whom tokens may be
	// about. If both are empty they may be about anybody.
	Subjects        []string
	SubjectPatterns []string
	// Required holds the values of which a claim must have one.
	Required map[string][]string
	// ClientSecret is what clients have to say beside the token. The zero value asks for nothing.
	ClientSecret secret.Secret
	// CacheTTL and CacheMax bound what is kept of tokens that were verified. It is
	// kept no longer than the token is valid. 0 keeps nothing.
	CacheTTL time.Duration
	CacheMax int
	Lease    func() error // as of cache.Options
	Log      *slog.Logger
}

// Realm judges tokens. It is safe for concurrent use.
type Realm struct {
	o        Options
	patterns pattern.Language
	secret   *secret.Digest // nil: clients prove nothing
	seen     *cache.Cache[*verified]
}

// verified is a token whose signature and claims are good.
type verified struct {
	claims *Claims
	person *Person
}

// New returns a realm. It fails if a pattern cannot be read.
func New(o Options) (*Realm, error) {
	r := &Realm{o: o, seen: cache.New[*verified](cache.Options{Max: o.CacheMax, TTL: o.CacheTTL, Now: o.Verifier.Now, Lease: o.Lease})}
	var err error
	if len(o.SubjectPatterns) > 0 {
		if r.patterns, err = pattern.ParseAll(o.SubjectPatterns); err != nil {
			return nil, err
		}
	}
	if !o.ClientSecret.IsZero() {
		digest := secret.NewDigest(o.ClientSecret.Reveal())
		r.secret = &digest
	}
	return r, nil
}

// Identity is the realm's name and type.
func (r *Realm) Identity() access.Realm { return r.o.Directory.Realm }

// Forget drops all tokens that were verified: none of them is known by the name
// of its user.
func (r *Realm) Forget([]string) { r.seen.Flush() }

// AuthenticateBearer judges a token and what the client says to prove itself. A
// text that is no token of this issuer is not mine; a refusal is
// fault.Unauthenticated, whatever its cause. The roles of the subject are those
// of this moment.
func (r *Realm) AuthenticateBearer(ctx context.Context, token, clientSecret string) (s access.Subject, mine bool, err error) {
	sum := sha256.Sum256([]byte(token))
	key := string(sum[:])
	e, err := r.known(ctx, key)
	switch {
	case err != nil:
		return access.Subject{}, true, err
	case e == nil && issuer(token) != r.o.Verifier.Issuer:
		return access.Subject{}, false, nil
	case r.secret != nil && !r.secret.Matches(clientSecret):
		err = fault.New(fault.Unauthenticated, "the client did not prove itself with the shared secret")
	default:
		s, err = r.subject(ctx, key, token, e)
	}
	if fault.KindOf(err) == fault.Unauthenticated {
		r.o.Log.DebugContext(ctx, "a JSON web token was refused", "realm", r.Identity().Name, "err", err)
		err = fault.Wrap(err, fault.Unauthenticated, "unable to authenticate with the given JSON web token")
	}
	return s, true, err
}

// subject returns whom a token is about, by what is kept of it, if it is, and if
// that is not forgotten meanwhile.
func (r *Realm) subject(ctx context.Context, key, token string, e *cache.Entry[*verified]) (access.Subject, error) {
	if e != nil {
		s, err := r.o.Directory.Subject(ctx, e.Value.person)
		switch alive, lapsed := r.seen.Trust(e); { // last
		case lapsed != nil:
			return access.Subject{}, lapsed
		case alive:
			return s, err
		}
	}
	v, err := r.verify(ctx, key, token)
	if err != nil {
		return access.Subject{}, err
	}
	return r.o.Directory.Subject(ctx, v.person)
}

// known returns what is kept of a token that is still valid, or nil.
func (r *Realm) known(ctx context.Context, key string) (*cache.Entry[*verified], error) {
	e := r.seen.Get(key)
	if e == nil {
		return nil, nil
	}
	ok, err := r.o.Verifier.Current(ctx, e.Value.claims)
	if err != nil {
		return nil, err
	}
	if !ok {
		r.seen.Kill(key)
		return nil, nil
	}
	return e, nil
}

func (r *Realm) verify(ctx context.Context, key, token string) (*verified, error) {
	e, err := r.seen.Fill(ctx, key, func(context.Context, string) (*verified, error) {
		claims, err := r.o.Verifier.Verify(ctx, token)
		if err != nil {
			return nil, err
		}
		if err := r.accepts(claims); err != nil {
			return nil, refuse(err)
		}
		person, err := r.o.Mapping.Person(claims)
		if err != nil {
			return nil, refuse(err)
		}
		return &verified{claims, person}, nil
	})
	if err != nil {
		return nil, err
	}
	return e.Value, nil // even if it died meanwhile: it was verified for this request
}

// accepts checks what the operator demands of tokens beyond what all need.
func (r *Realm) accepts(c *Claims) error {
	named := slices.Contains(r.o.Subjects, c.Subject) || r.patterns.Matches(c.Subject)
	if !named && len(r.o.Subjects)+len(r.o.SubjectPatterns) > 0 {
		return fmt.Errorf("the subject [%s] is not allowed", c.Subject)
	}
	for name, values := range r.o.Required {
		claim, _ := c.All.Get(name)
		if has := scalars(claim); !slices.ContainsFunc(has, func(v string) bool { return slices.Contains(values, v) }) {
			return fmt.Errorf("the claim [%s] is %q", name, has)
		}
	}
	return nil
}

// scalars is the texts, numbers and booleans that a claim is or lists, as they are written.
func scalars(v xcontent.Value) (all []string) {
	if v.Kind != xcontent.Array {
		v.Items = []xcontent.Value{v}
	}
	for _, item := range v.Items {
		if item.Kind != xcontent.Array && flat(item) {
			all = append(all, item.Text)
		}
	}
	return all
}
