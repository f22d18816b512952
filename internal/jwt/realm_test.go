package jwt_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"

	"latchkey/internal/access"
	"latchkey/internal/fault"
	"latchkey/internal/jwt"
	"latchkey/internal/rolemapping"
	"latchkey/internal/secret"
)

const (
	issuer    = "https://issuer.example.org"
	hmacText  = "a key that is shared and has more than sixty-four bytes, as HS512 wants it"
	clientKey = "what the client says"
)

var (
	rsaKey   = must(rsa.GenerateKey(rand.Reader, 2048))
	otherKey = must(rsa.GenerateKey(rand.Reader, 2048))
	ecKey    = must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	ec521Key = must(ecdsa.GenerateKey(elliptic.P521(), rand.Reader))
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// sign makes a token of any claims.
func sign(t testing.TB, algorithm jose.SignatureAlgorithm, key any, kid, typ string, claims map[string]any) string {
	t.Helper()
	o := &jose.SignerOptions{}
	if typ != "" {
		o = o.WithType(jose.ContentType(typ))
	}
	if kid != "" {
		o = o.WithHeader("kid", kid)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: algorithm, Key: key}, o)
	if err != nil {
		t.Fatal(err)
	}
	jws, err := signer.Sign(must(json.Marshal(claims)))
	if err != nil {
		t.Fatal(err)
	}
	return must(jws.CompactSerialize())
}

// set is the JWK set of some keys.
func set(keys ...jose.JSONWebKey) []byte {
	return must(json.Marshal(jose.JSONWebKeySet{Keys: keys}))
}

func public(kid string, key any) jose.JSONWebKey {
	return jose.JSONWebKey{Key: key, KeyID: kid, Use: "sig"}
}

// world is what a realm lives in.
type world struct {
	now     time.Time
	keys    []byte // at the issuer
	down    bool   // the issuer does not answer
	reads   int
	roles   []string
	lenders map[string]access.Subject
	asked   []rolemapping.User
	log     bytes.Buffer
}

func (w *world) Roles(_ context.Context, u rolemapping.User) ([]string, error) {
	w.asked = append(w.asked, u)
	return w.roles, nil
}

func (w *world) LookupIn(_ context.Context, realms []string, username string) (access.Subject, error) {
	s, ok := w.lenders[username]
	switch {
	case !ok || !slices.Contains(realms, s.Realm.Name):
		return s, fault.New(fault.NotFound, "no such user")
	case s.Roles == nil:
		return s, fault.New(fault.Unauthenticated, "disabled")
	}
	return s, nil
}

func (w *world) options() jwt.Options {
	read := func(context.Context) ([]byte, error) {
		w.reads++
		if w.down {
			return nil, errors.New("the issuer is down")
		}
		return w.keys, nil
	}
	clock := func() time.Time { return w.now }
	log := slog.New(slog.NewTextHandler(&w.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	return jwt.Options{
		Directory: jwt.Directory{Realm: access.Realm{Name: "jwt1", Type: jwt.Type}, Users: w, Roles: w},
		Verifier: jwt.Verifier{Issuer: issuer, Audiences: []string{"latchkey", "other"}, Algorithms: []string{"RS256", "ES256", "ES512", "PS384", "HS512"},
			Skew: time.Minute, Types: []string{"JWT"}, Public: jwt.PublicKeys("the issuer", read, jwt.OfAddress, clock, log), Shared: jwt.SharedKey(hmacText), Now: clock},
		Mapping: jwt.Mapping{Principal: jwt.Claim{Name: "sub"}, Groups: jwt.Claim{Name: "groups"}, DN: jwt.Claim{Name: "dn"},
			Mail: jwt.Claim{Name: "mail"}, Name: jwt.Claim{Name: "name"}, Metadata: func(c string) string { return "jwt_claim_" + c }},
		CacheTTL: time.Hour, CacheMax: 100, Log: log,
	}
}

func newWorld() *world {
	return &world{now: time.Unix(1_800_000_000, 0), roles: []string{"r"}, keys: set(public("rsa", rsaKey.Public()), public("ec", ecKey.Public()), public("ec521", ec521Key.Public()))}
}

func open(t testing.TB, o jwt.Options) *jwt.Realm {
	t.Helper()
	r, err := jwt.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// claims are good ones, with some changed; nil removes.
func (w *world) claims(change map[string]any) map[string]any {
	c := map[string]any{"iss": issuer, "aud": "latchkey", "sub": "alice", "iat": w.now.Unix(), "exp": w.now.Add(time.Hour).Unix()}
	maps.Copy(c, change)
	maps.DeleteFunc(c, func(_ string, v any) bool { return v == nil })
	return c
}

func (w *world) token(t testing.TB, change map[string]any) string {
	return sign(t, jose.RS256, rsaKey, "rsa", "JWT", w.claims(change))
}

// judged is what became of a token: a name, "refused", "not mine", or another error.
func judged(t testing.TB, r *jwt.Realm, token, client string) string {
	t.Helper()
	s, mine, err := r.AuthenticateBearer(t.Context(), token, client)
	switch {
	case !mine && err == nil:
		return "not mine"
	case fault.KindOf(err) == fault.Unauthenticated && mine:
		return "refused"
	case err != nil:
		return err.Error()
	}
	return s.Username
}

func TestWhichTokensAreAccepted(t *testing.T) {
	w := newWorld()
	r := open(t, w.options())
	at := func(d time.Duration) int64 { return w.now.Add(d).Unix() }
	good := w.token(t, nil)
	parts := strings.Split(good, ".")
	unsigned := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`)) + "." + parts[1] + "."
	publicAsSecret := must(json.Marshal(public("", rsaKey.Public())))
	tests := []struct{ name, token, want string }{
		{"of today", good, "alice"},
		{"signed with a curve", sign(t, jose.ES256, ecKey, "ec", "", w.claims(nil)), "alice"},
		{"signed with a large curve", sign(t, jose.ES512, ec521Key, "", "", w.claims(nil)), "alice"},
		{"signed with padding of its own", sign(t, jose.PS384, rsaKey, "", "jwt", w.claims(nil)), "alice"},
		{"signed with the shared key", sign(t, jose.HS512, []byte(hmacText), "", "JWT", w.claims(nil)), "alice"},
		{"for several, and for us", w.token(t, map[string]any{"aud": []string{"x", "other"}}), "alice"},
		{"expired within the skew", w.token(t, map[string]any{"exp": at(-time.Minute)}), "alice"},
		{"with a fraction of a second", w.token(t, map[string]any{"exp": float64(at(0)) + 0.5}), "alice"},
		{"valid from now on", w.token(t, map[string]any{"nbf": at(time.Minute)}), "alice"},

		{"signed by nobody", unsigned, "refused"},
		{"signed with another key", sign(t, jose.RS256, otherKey, "rsa", "JWT", w.claims(nil)), "refused"},
		{"signed with a key of another name", sign(t, jose.RS256, rsaKey, "ec", "JWT", w.claims(nil)), "refused"},
		{"signed with an algorithm that is not allowed", sign(t, jose.RS512, rsaKey, "rsa", "JWT", w.claims(nil)), "refused"},
		{"signed with the public key as a secret", sign(t, jose.HS512, publicAsSecret, "", "JWT", w.claims(nil)), "refused"},
		{"cut short", good[:len(good)-4], "refused"},
		{"of another content", parts[0] + "." + base64.RawURLEncoding.EncodeToString([]byte(`{"iss":"`+issuer+`","sub":"root"}`)) + "." + parts[2], "refused"},
		{"of another type", sign(t, jose.RS256, rsaKey, "rsa", "at+jwt", w.claims(nil)), "refused"},
		{"of another audience", w.token(t, map[string]any{"aud": "x"}), "refused"},
		{"without an audience", w.token(t, map[string]any{"aud": nil}), "refused"},
		{"with an audience of the wrong kind", w.token(t, map[string]any{"aud": []any{"latchkey", 1}}), "refused"},
		{"about nobody", w.token(t, map[string]any{"sub": nil}), "refused"},
		{"about the empty name", w.token(t, map[string]any{"sub": ""}), "refused"},
		{"about a number", w.token(t, map[string]any{"sub": 7}), "refused"},
		{"expired", w.token(t, map[string]any{"exp": at(-time.Minute - time.Second)}), "refused"},
		{"without an end", w.token(t, map[string]any{"exp": nil}), "refused"},
		{"whose end is a text", w.token(t, map[string]any{"exp": "tomorrow"}), "refused"},
		{"whose end is beyond all bounds", w.token(t, map[string]any{"exp": 1e300}), "refused"},
		{"without a beginning", w.token(t, map[string]any{"iat": nil}), "refused"},
		{"of tomorrow", w.token(t, map[string]any{"iat": at(time.Hour)}), "refused"},
		{"not valid yet", w.token(t, map[string]any{"nbf": at(time.Minute + time.Second)}), "refused"},
		{"whose user logs in tomorrow", w.token(t, map[string]any{"auth_time": at(time.Hour)}), "refused"},

		{"of another issuer", w.token(t, map[string]any{"iss": issuer + "/"}), "not mine"},
		{"of no issuer", w.token(t, map[string]any{"iss": nil}), "not mine"},
		{"that is none", "a.b.c", "not mine"},
		{"that is empty", "", "not mine"},
		{"of five parts", good + ".x.y", "not mine"},
		{"of any length", good + strings.Repeat("A", 300<<10), "not mine"},
	}
	for _, tt := range tests {
		for _, when := range []string{"first", "again"} { // the second time it may be known
			if got := judged(t, r, tt.token, ""); got != tt.want {
				t.Errorf("a token %s, shown %s: %s, want %s", tt.name, when, got, tt.want)
			}
		}
	}
	for _, part := range []string{parts[1], parts[2], hmacText} {
		if strings.Contains(w.log.String(), part) {
			t.Error("the log holds a part of a token or a key")
		}
	}
}

func TestATokenMakesAUser(t *testing.T) {
	w := newWorld()
	o := w.options()
	o.Mapping.Principal.Pattern = regexp.MustCompile(`^([^@]+)@example\.org$`)
	o.Mapping.Groups.Pattern = regexp.MustCompile(`^team-(.*)$`)
	r := open(t, o)
	s, _, err := r.AuthenticateBearer(t.Context(), w.token(t, map[string]any{
		"sub": "alice@example.org", "groups": []string{"team-a", "b", "team-c"}, "mail": "a@x", "name": "Alice", "dn": "uid=alice", "level": 7.50,
		"admin": true, "nothing": nil, "address": map[string]any{"city": "X"}, "nested": []any{[]any{1}}, "tags": []string{"x", "ü"},
	}), "")
	mail, name := "a@x", "Alice"
	want := access.Subject{Username: "alice", FullName: &name, Email: &mail, Roles: []string{"r"}, Realm: access.Realm{Name: "jwt1", Type: "jwt"},
		Metadata: json.RawMessage(`{"jwt_claim_admin":true,"jwt_claim_aud":"latchkey","jwt_claim_dn":"uid=alice","jwt_claim_groups":["team-a","b","team-c"],` +
			`"jwt_claim_iss":"` + issuer + `","jwt_claim_level":7.5,"jwt_claim_mail":"a@x","jwt_claim_name":"Alice","jwt_claim_sub":"alice@example.org","jwt_claim_tags":["x","ü"]}`)}
	if diff := cmp.Diff(want, s, cmp.AllowUnexported(access.Permissions{})); err != nil || diff != "" {
		t.Errorf("%v (-want +got)\n%s", err, diff)
	}
	mapped := rolemapping.User{Username: "alice", DN: "uid=alice", Groups: []string{"a", "c"}, Metadata: want.Metadata, Realm: want.Realm}
	if diff := cmp.Diff([]rolemapping.User{mapped}, w.asked); diff != "" {
		t.Errorf("asked for roles of (-want +got)\n%s", diff)
	}
	if got := judged(t, r, w.token(t, map[string]any{"sub": "alice@example.com"}), ""); got != "refused" {
		t.Errorf("a principal that the pattern does not match is %s", got)
	}
}

// Roles are asked for with every request, also of a token that is known.
func TestRolesAreThoseOfTheMoment(t *testing.T) {
	w := newWorld()
	r := open(t, w.options())
	token := w.token(t, nil)
	for _, roles := range [][]string{{"a"}, {"b", "c"}, nil} {
		w.roles = roles
		if s, _, err := r.AuthenticateBearer(t.Context(), token, ""); err != nil || !slices.Equal(s.Roles, roles) {
			t.Errorf("%v, %v; want %v", s.Roles, err, roles)
		}
	}
}

func TestUsersOfOtherRealmsLendTheirRoles(t *testing.T) {
	w := newWorld()
	name := "Alice of the native realm"
	w.lenders = map[string]access.Subject{
		"alice":    {Username: "alice", FullName: &name, Roles: []string{"lent"}, Realm: access.Realm{Name: "native1", Type: "native"}},
		"disabled": {Username: "disabled", Realm: access.Realm{Name: "native1", Type: "native"}},
		"file":     {Username: "file", Roles: []string{"x"}, Realm: access.Realm{Name: "file1", Type: "file"}},
	}
	o := w.options()
	o.Directory.Lenders = []string{"native1"}
	r := open(t, o)
	s, _, err := r.AuthenticateBearer(t.Context(), w.token(t, nil), "")
	if err != nil || !slices.Equal(s.Roles, []string{"lent"}) || s.FullName != &name || s.Realm.Name != "jwt1" || w.asked != nil {
		t.Errorf("%+v, %v", s, err)
	}
	for _, sub := range []string{"disabled", "file", "nobody"} {
		if got := judged(t, r, w.token(t, map[string]any{"sub": sub}), ""); got != "refused" {
			t.Errorf("%s is %s", sub, got)
		}
	}
	gone := w.lenders["alice"]
	delete(w.lenders, "alice")
	if got := judged(t, r, w.token(t, nil), ""); got != "refused" {
		t.Errorf("alice, who is gone, is %s", got)
	}
	w.lenders["alice"] = gone
}

func TestClientsProveThemselves(t *testing.T) {
	w := newWorld()
	o := w.options()
	o.ClientSecret = secret.Of(clientKey)
	r := open(t, o)
	token := w.token(t, nil)
	for _, tt := range [][2]string{{"", "refused"}, {"wrong", "refused"}, {clientKey, "alice"}, {"", "refused"}, {clientKey + " ", "refused"}} {
		if got := judged(t, r, token, tt[0]); got != tt[1] {
			t.Errorf("with %q: %s, want %s", tt[0], got, tt[1])
		}
	}
	if strings.Contains(w.log.String(), clientKey) {
		t.Error("the log holds the secret of the client")
	}
}

func TestAccessTokensOfApplications(t *testing.T) {
	w := newWorld()
	o := w.options()
	o.Verifier.Types = []string{"JWT", "at+jwt"}
	o.Verifier.SubjectClaim, o.Verifier.AudienceClaim = "client_id", "scope"
	o.Mapping.Principal.Name = "client_id"
	o.Subjects, o.SubjectPatterns = []string{"batch"}, []string{"app-*", "/job[0-9]+/"}
	o.Required = map[string][]string{"token_use": {"access", "system"}, "verified": {"true"}, "level": {"3"}}
	r := open(t, o)
	show := func(change map[string]any) string {
		c := map[string]any{"sub": nil, "aud": nil, "client_id": "batch", "scope": []string{"latchkey"}, "token_use": "access", "verified": true, "level": []int{1, 3}}
		maps.Copy(c, change)
		return judged(t, r, sign(t, jose.RS256, rsaKey, "", "at+jwt", w.claims(c)), "")
	}
	for _, tt := range []struct {
		name   string
		change map[string]any
		want   string
	}{
		{"by its fallbacks", nil, "batch"},
		{"a pattern allows it", map[string]any{"client_id": "app-7"}, "app-7"},
		{"a regular expression allows it", map[string]any{"client_id": "job42"}, "job42"},
		{"nothing allows it", map[string]any{"client_id": "job"}, "refused"},
		{"sub comes before its fallback", map[string]any{"sub": "x"}, "refused"},
		{"a sub of the wrong kind is no sub at all, and no fallback counts", map[string]any{"sub": 1}, "refused"},
		{"aud comes before its fallback", map[string]any{"aud": "x"}, "refused"},
		{"a claim is one of those required", map[string]any{"token_use": []string{"x", "system"}}, "batch"},
		{"a claim is not as required", map[string]any{"token_use": "id"}, "refused"},
		{"a claim that is required is missing", map[string]any{"verified": nil}, "refused"},
		{"a boolean is not as required", map[string]any{"verified": false}, "refused"},
		{"a claim is an object", map[string]any{"level": map[string]any{"3": "3"}}, "refused"},
	} {
		if got := show(tt.change); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}

// A key that its issuer withdraws is refused once the keys were read again, also
// with a token that is known.
func TestAKeyThatIsWithdrawn(t *testing.T) {
	w := newWorld()
	r := open(t, w.options())
	token := w.token(t, nil)
	fresh := sign(t, jose.RS256, otherKey, "new", "", w.claims(nil))
	step := func(what, token, want string, reads int) {
		t.Helper()
		before := w.reads
		if got := judged(t, r, token, ""); got != want || w.reads-before != reads {
			t.Errorf("%s: %s with %d readings; want %s with %d", what, got, w.reads-before, want, reads)
		}
	}
	step("the first", token, "alice", 1)
	step("a key that nobody knows, at once", fresh, "refused", 0)
	w.now = w.now.Add(6 * time.Second)
	step("a key that nobody knows", fresh, "refused", 1)
	step("the same again", fresh, "refused", 0)
	w.keys = set(public("new", otherKey.Public()), public("rsa", rsaKey.Public()))
	w.now = w.now.Add(6 * time.Second)
	step("a key that is new", fresh, "alice", 1)
	step("the old one beside it", token, "alice", 0)
	w.keys = set(public("new", otherKey.Public()))
	w.now = w.now.Add(4 * time.Minute)
	step("the old one, before anybody looked", token, "alice", 0)
	w.now = w.now.Add(time.Minute)
	step("the old one, when somebody looks", token, "refused", 1)
	w.down = true
	w.now = w.now.Add(5 * time.Minute)
	step("the issuer is down", fresh, "alice", 1)
	step("the issuer is still down", fresh, "alice", 0)
	w.down, w.keys = false, []byte(`{"keys":[]}`)
	w.now = w.now.Add(5 * time.Minute)
	step("the issuer says nonsense", fresh, "alice", 1)
}

func TestKeysThatWereNeverRead(t *testing.T) {
	w := newWorld()
	w.down = true
	r := open(t, w.options())
	for i, reads := range []int{1, 1, 2} {
		w.now = w.now.Add(3 * time.Second)
		if _, mine, err := r.AuthenticateBearer(t.Context(), w.token(t, nil), ""); !mine || fault.KindOf(err) != fault.Unavailable || w.reads != reads {
			t.Errorf("attempt %d: %v, %v after %d readings; want an outage after %d", i, mine, err, w.reads, reads)
		}
	}
	w.down, w.now = false, w.now.Add(6*time.Second)
	if got := judged(t, r, w.token(t, nil), ""); got != "alice" {
		t.Errorf("the issuer is back: %s", got)
	}
}

// A token ends on time, however often it was shown before.
func TestAKnownTokenExpires(t *testing.T) {
	w := newWorld()
	r := open(t, w.options())
	token := w.token(t, map[string]any{"exp": w.now.Add(time.Minute).Unix()})
	for range 130 {
		w.now = w.now.Add(time.Second)
		want := "alice"
		if w.now.After(time.Unix(1_800_000_000+120, 0)) {
			want = "refused"
		}
		if got := judged(t, r, token, ""); got != want {
			t.Fatalf("at %s: %s, want %s", w.now, got, want)
		}
	}
}

func TestForget(t *testing.T) {
	w := newWorld()
	r := open(t, w.options())
	token := w.token(t, nil)
	judged(t, r, token, "")
	r.Forget([]string{"somebody"})
	if got := judged(t, r, token, ""); got != "alice" {
		t.Errorf("after its cache was cleared, a token is %s", got)
	}
}

// What another node may have had forgotten is not accepted without a lease, nor by
// a lease that is older than the forgetting.
func TestWhatIsKeptCountsUnderALease(t *testing.T) {
	w := newWorld()
	var lapsed error
	asks := func() {}
	o := w.options()
	o.Lease = func() error { asks(); return lapsed }
	r := open(t, o)
	token := w.token(t, nil)
	if got := judged(t, r, token, ""); got != "alice" {
		t.Fatalf("the token is %s", got)
	}
	lapsed = fault.New(fault.Unavailable, "no lease")
	if got := judged(t, r, token, ""); got != "no lease" {
		t.Errorf("without a lease the token is %s", got)
	}
	lapsed, asks, w.asked = nil, func() { r.Forget(nil) }, nil
	if got := judged(t, r, token, ""); got != "alice" || len(w.asked) != 2 {
		t.Errorf("a token that is overtaken by a forgetting is %s after %d looks, want it to be verified once more", got, len(w.asked))
	}
}

func TestKeySets(t *testing.T) {
	small := must(rsa.GenerateKey(rand.Reader, 1024))
	encryption := public("", rsaKey.Public())
	encryption.Use = "enc"
	fixed := public("", rsaKey.Public())
	fixed.Algorithm = "RS512"
	for name, tt := range map[string]struct {
		text string
		want string
	}{
		"keys of unknown kinds stand beside it": {`{"keys":[{"kty":"NEW","x":1},null,7,` + string(set(public("", rsaKey.Public()))[len(`{"keys":[`):]), "alice"},
		"the private half is there, too":        {string(set(jose.JSONWebKey{Key: rsaKey})), "alice"},
		"a key for encryption":                  {string(set(encryption)), "refused"},
		"a key for another algorithm":           {string(set(fixed)), "refused"},
		"a key that is too short":               {string(set(public("", small.Public()))), "outage"},
		"a shared key in a public place":        {string(set(jose.JSONWebKey{Key: []byte(hmacText)})), "outage"},
		"no key":                                {`{"keys":[]}`, "outage"},
		"no set":                                {`[]`, "outage"},
		"no JSON":                               {`<html>`, "outage"},
	} {
		w := newWorld()
		w.keys = []byte(tt.text)
		r := open(t, w.options())
		_, _, err := r.AuthenticateBearer(t.Context(), sign(t, jose.RS256, rsaKey, "", "", w.claims(nil)), "")
		got := map[fault.Kind]string{fault.Internal: "alice", fault.Unauthenticated: "refused", fault.Unavailable: "outage"}[fault.KindOf(err)]
		if got != tt.want {
			t.Errorf("%s: %s (%v), want %s", name, got, err, tt.want)
		}
	}
	if _, err := jwt.SharedKeys(`{"keys":[]}`); err == nil {
		t.Error("a set without shared keys is taken")
	}
	keys, err := jwt.SharedKeys(string(set(jose.JSONWebKey{Key: []byte(hmacText), KeyID: "k"})))
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld()
	o := w.options()
	o.Verifier.Shared = keys
	for kid, want := range map[string]string{"k": "alice", "": "alice", "l": "refused"} {
		if got := judged(t, open(t, o), sign(t, jose.HS512, []byte(hmacText), kid, "", w.claims(nil)), ""); got != want {
			t.Errorf("with the key id %q: %s, want %s", kid, got, want)
		}
	}
}

// Many tokens at once, an issuer that answers late: one reading serves all.
func TestOneReadingServesAll(t *testing.T) {
	w := newWorld()
	o := w.options()
	var reads atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		reads.Add(1)
		_, _ = rw.Write(w.keys)
	}))
	defer server.Close()
	client := jwt.NewClient(jwt.ClientOptions{ConnectTimeout: time.Minute, ReadTimeout: time.Minute, SocketTimeout: time.Minute, MaxIdle: 1, MaxPerHost: 1})
	defer client.CloseIdleConnections()
	o.Verifier.Public = jwt.PublicKeys("here", jwt.FromURL(client, server.URL), jwt.OfAddress, func() time.Time { return w.now }, o.Log)
	o.Directory.Roles = noRoles{}
	r := open(t, o)
	var wg sync.WaitGroup
	for i := range 16 {
		token := w.token(t, map[string]any{"sub": fmt.Sprint("user", i)})
		wg.Go(func() {
			if got := judged(t, r, token, ""); got != fmt.Sprint("user", i) {
				t.Error(got)
			}
		})
	}
	wg.Wait()
	if reads.Load() != 1 {
		t.Errorf("%d readings", reads.Load())
	}
}

type noRoles struct{}

func (noRoles) Roles(context.Context, rolemapping.User) ([]string, error) { return nil, nil }

func TestSourcesOfKeys(t *testing.T) {
	client := jwt.NewClient(jwt.ClientOptions{ConnectTimeout: time.Minute, ReadTimeout: time.Minute, SocketTimeout: time.Minute, MaxIdle: 1, MaxPerHost: 4})
	defer client.CloseIdleConnections()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/moved":
			http.Redirect(w, r, "/keys", http.StatusFound)
		case "/huge":
			_, _ = w.Write(bytes.Repeat([]byte("x"), 2<<20))
		case "/keys":
			_, _ = w.Write([]byte("keys"))
		default:
			http.NotFound(w, r)
		}
	}))
	defer server.Close()
	file := filepath.Join(t.TempDir(), "keys")
	if err := os.WriteFile(file, []byte("keys"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		read func(context.Context) ([]byte, error)
		ok   bool
	}{
		"an address":            {jwt.FromURL(client, server.URL+"/keys"), true},
		"a file":                {jwt.FromFile(file), true},
		"a file that is gone":   {jwt.FromFile(file + "x"), false},
		"an address that moved": {jwt.FromURL(client, server.URL+"/moved"), false},
		"nothing there":         {jwt.FromURL(client, server.URL+"/none"), false},
		"too much":              {jwt.FromURL(client, server.URL+"/huge"), false},
	} {
		if b, err := tt.read(t.Context()); (err == nil) != tt.ok || tt.ok && string(b) != "keys" {
			t.Errorf("%s: %d bytes, %v", name, len(b), err)
		}
	}
}

func FuzzToken(f *testing.F) {
	w := newWorld()
	good := w.token(f, nil)
	f.Add(good, "")
	f.Add("a.b.c", "x")
	f.Add(base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`))+"."+strings.Split(good, ".")[1]+".", "")
	o := w.options()
	o.Log = slog.New(slog.DiscardHandler)
	r := open(f, o)
	f.Fuzz(func(t *testing.T, token, client string) {
		signed := token[:max(0, strings.LastIndexByte(token, '.'))] // the signature has bits that count for nothing
		if got := judged(t, r, token, client); got != "refused" && got != "not mine" && !strings.HasPrefix(good, signed+".") {
			t.Errorf("%q is %s", token, got)
		}
	})
}
