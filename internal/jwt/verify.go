package jwt

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"

	"latchkey/internal/fault"
	"latchkey/internal/xcontent"
)

// maxToken bounds the text of a token, in bytes. One in a header is far shorter.
const maxToken = 256 << 10

// Verifier says which tokens are accepted. Its methods may be used at once.
type Verifier struct {
	Issuer     string
	Audiences  []string // one of them has to be in the token
	Algorithms []string // of those of RFC 7518, section 3.1; never none
	Skew       time.Duration
	Types      []string // what the header "typ" may say; it may be absent, too

	// SubjectClaim and AudienceClaim count where "sub" or "aud" is absent; "" is nothing.
	SubjectClaim, AudienceClaim string

	Public *Keys // for RS, PS and ES; nil if no such algorithm is accepted
	Shared *Keys // for HS; nil if no such algorithm is accepted
	Now    func() time.Time
}

// Claims is what a token that was verified says.
type Claims struct {
	All       xcontent.Value // an object
	Subject   string
	Expires   time.Time // with the skew of clocks
	Algorithm string    // of the signature
	keys      *keySet   // that verified it
	source    *Keys
}

// Current reports whether the keys that verified the token are still those in
// use, and the token has not expired. It may read the keys again.
func (v *Verifier) Current(ctx context.Context, c *Claims) (bool, error) {
	if v.Now().After(c.Expires) {
		return false, nil
	}
	set, err := c.source.current(ctx)
	return set == c.keys, err
}

// Verify returns what a token says, if it is signed as it has to be, by this
// issuer, for these audiences and for now. What is wrong with the token is
// fault.Unauthenticated; keys that cannot be read are fault.Unavailable.
func (v *Verifier) Verify(ctx context.Context, token string) (*Claims, error) {
	c, err := v.verify(ctx, token)
	switch {
	case err == nil:
		return c, nil
	case fault.KindOf(err) == fault.Unavailable || ctx.Err() != nil:
		return nil, err
	}
	return nil, refuse(err)
}

func refuse(why error) error {
	return fault.Wrap(why, fault.Unauthenticated, "the token is not accepted")
}

func (v *Verifier) verify(ctx context.Context, token string) (*Claims, error) {
	if len(token) > maxToken {
		return nil, fmt.Errorf("it is longer than %d bytes", maxToken)
	}
	var accepted []jose.SignatureAlgorithm
	for _, a := range v.Algorithms {
		accepted = append(accepted, jose.SignatureAlgorithm(a))
	}
	jws, err := jose.ParseSignedCompact(token, accepted)
	if err != nil {
		return nil, err
	}
	c := &Claims{}
	// What costs nothing comes first, so that no stranger makes us read keys.
	if c.All, err = xcontent.ParseJSON(jws.UnsafePayloadWithoutVerification()); err != nil || c.All.Kind != xcontent.Object {
		return nil, errors.New("what was signed is no JSON object, or names a claim twice")
	}
	if iss, _ := c.Text("iss"); iss != v.Issuer {
		return nil, fmt.Errorf("the issuer is [%s]", iss)
	}
	if err := v.addressed(c); err != nil {
		return nil, err
	}
	if err := v.timely(c); err != nil {
		return nil, err
	}
	return c, v.signed(ctx, jws, c)
}

// signed checks the signature of a token, and notes what it was made with.
func (v *Verifier) signed(ctx context.Context, jws *jose.JSONWebSignature, c *Claims) error {
	head := jws.Signatures[0].Protected
	if typ, ok := head.ExtraHeaders[jose.HeaderType]; ok {
		text, _ := typ.(string)
		if !slices.ContainsFunc(v.Types, func(t string) bool { return strings.EqualFold(t, text) }) {
			return fmt.Errorf("the type of the token is [%v]", typ)
		}
	}
	c.source, c.Algorithm = v.Public, head.Algorithm
	if strings.HasPrefix(head.Algorithm, "HS") {
		c.source = v.Shared
	}
	if c.source == nil {
		return fmt.Errorf("there are no keys for the algorithm [%s]", head.Algorithm)
	}
	set, err := c.source.current(ctx)
	for err == nil {
		for i := range set.keys {
			if key := &set.keys[i]; fits(key, head.Algorithm, head.KeyID) {
				if _, bad := jws.Verify(key.Key); bad == nil {
					c.keys = set
					return nil
				}
			}
		}
		tried := set
		if set, err = c.source.newer(ctx, tried); err == nil && set == tried {
			return fmt.Errorf("no key verifies the signature (algorithm [%s], key id [%s])", head.Algorithm, head.KeyID)
		}
	}
	return err
}

// addressed checks whom a token is about and for, and notes the former.
func (v *Verifier) addressed(c *Claims) error {
	var err error
	name := "sub"
	if _, ok := c.All.Get(name); !ok && v.SubjectClaim != "" {
		name = v.SubjectClaim
	}
	if c.Subject, err = c.Text(name); err != nil {
		return err
	}
	name = "aud"
	if _, ok := c.All.Get(name); !ok && v.AudienceClaim != "" {
		name = v.AudienceClaim
	}
	audiences, err := c.Texts(name)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(audiences, func(a string) bool { return slices.Contains(v.Audiences, a) }) {
		return fmt.Errorf("the token is for %q", audiences)
	}
	return nil
}

// timely checks the times that a token bears. Without an end, and without a
// beginning, it is none of ours.
func (v *Verifier) timely(c *Claims) error {
	now := v.Now()
	for _, name := range []string{"exp", "iat", "nbf", "auth_time"} {
		claim, ok := c.All.Get(name)
		if !ok && (name == "nbf" || name == "auth_time") {
			continue
		}
		at, ok := numericDate(claim)
		switch {
		case !ok:
			return fmt.Errorf("the claim [%s] is missing or no time", name)
		case name == "exp":
			if c.Expires = at.Add(v.Skew); now.After(c.Expires) {
				return fmt.Errorf("the token expired at %s", at)
			}
		case at.After(now.Add(v.Skew)):
			return fmt.Errorf("the token is of a time to come: [%s] is %s", name, at)
		}
	}
	return nil
}

// numericDate reads seconds since 1970, maybe with a fraction (RFC 7519, section 2).
func numericDate(v xcontent.Value) (time.Time, bool) {
	f, err := strconv.ParseFloat(v.Text, 64)
	if v.Kind != xcontent.Number || err != nil || f < 0 || f > 1e11 {
		return time.Time{}, false
	}
	whole, part := math.Modf(f)
	return time.Unix(int64(whole), int64(part*1e9)).UTC(), true
}

// Text returns a claim that has to be a text, and not an empty one.
func (c *Claims) Text(name string) (string, error) {
	v, ok := c.All.Get(name)
	if !ok || v.Kind != xcontent.String || v.Text == "" {
		return "", fmt.Errorf("the claim [%s] is missing or no text", name)
	}
	return v.Text, nil
}

// Texts returns a claim that has to be a text or an array of them.
func (c *Claims) Texts(name string) ([]string, error) {
	v, ok := c.All.Get(name)
	if ok && v.Kind == xcontent.String {
		return []string{v.Text}, nil
	}
	texts := make([]string, len(v.Items))
	for i, item := range v.Items {
		ok = ok && item.Kind == xcontent.String
		texts[i] = item.Text
	}
	if !ok || v.Kind != xcontent.Array {
		return nil, fmt.Errorf("the claim [%s] is missing, or no text and no list of texts", name)
	}
	return texts, nil
}

// issuer returns the issuer that a token claims to be from; "" if it is no token
// of the form that is read here.
func issuer(token string) string {
	parts := strings.Split(token, ".")
	if len(parts) != 3 || len(token) > maxToken {
		return ""
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return ""
	}
	claims, err := xcontent.ParseJSON(payload)
	if err != nil {
		return ""
	}
	iss, _ := claims.Get("iss")
	if iss.Kind != xcontent.String {
		return ""
	}
	return iss.Text
}
