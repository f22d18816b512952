package token_test

import (
	"context"
	"encoding/base64"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"latchkey/internal/access"
	"latchkey/internal/fault"
	"latchkey/internal/secret"
	"latchkey/internal/sqlstore"
	"latchkey/internal/token"
)

func TestHalvesAreIndependent(t *testing.T) {
	f, c := newFixture(t), client("c")
	once, again := token.Invalidated{Now: 1, Found: true}, token.Invalidated{Before: 1, Found: true}
	a, b := f.grant(t, c, passwordGrant("u")), f.grant(t, c, passwordGrant("u"))
	f.accepted(t, a.Access) // warms the cache
	f.accepted(t, b.Access)

	f.invalidate(t, token.InvalidateRequest{Token: a.Access}, once) // TK-39
	f.invalidate(t, token.InvalidateRequest{Token: a.Access}, again)
	wantOver(t, f.Service, a.Access)                                        // TK-53
	f.accepted(t, f.grant(t, c, refreshGrant(a.Refresh)).Access)            // TK-41
	f.invalidate(t, token.InvalidateRequest{RefreshToken: a.Refresh}, once) // TK-40

	f.invalidate(t, token.InvalidateRequest{RefreshToken: b.Refresh}, once)
	f.invalidate(t, token.InvalidateRequest{RefreshToken: b.Refresh}, again)
	f.accepted(t, b.Access) // TK-42
}

func TestATokenInvalidatesItself(t *testing.T) {
	f := newFixture(t)
	f.house.roles["u"] = permissions("manage_token")
	made := f.grant(t, client("c"), passwordGrant("u"))
	got, err := f.Invalidate(t.Context(), f.accepted(t, made.Access), token.InvalidateRequest{Token: made.Access})
	if want := (token.Invalidated{Now: 1, Found: true}); err != nil || got != want {
		t.Errorf("invalidate: %+v, %v; want %+v", got, err, want)
	}
	wantOver(t, f.Service, made.Access)
}

// An expired token can be invalidated as long as it is stored.
func TestInvalidateDoesNotLookAtExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		made := f.grant(t, client("c"), clientCredentials)
		time.Sleep(time.Hour)
		f.invalidate(t, token.InvalidateRequest{Username: "c"}, token.Invalidated{Found: true}) // it is not active
		f.invalidate(t, token.InvalidateRequest{Token: made.Access}, token.Invalidated{Now: 1, Found: true})
	})
}

func TestInvalidateWhatIsNotThere(t *testing.T) {
	f := newFixture(t)
	old := base64.StdEncoding.EncodeToString(make([]byte, 27))
	requests := map[string]func(string) token.InvalidateRequest{
		"token":         func(s string) token.InvalidateRequest { return token.InvalidateRequest{Token: s} },
		"refresh_token": func(s string) token.InvalidateRequest { return token.InvalidateRequest{RefreshToken: s} },
	}
	wellFormed := []string{old, secret.NewAccessToken(), secret.NewRefreshToken(), "AAECAwQ", "AAECAwQ="}
	garbage := []string{"!", "not base64", "A"}
	check := func(when string, s *token.Service, texts []string, refused bool) {
		t.Helper()
		for name, request := range requests {
			for _, text := range texts {
				got, err := s.Invalidate(t.Context(), client("c"), request(text))
				if got != (token.Invalidated{}) || (err != nil) != refused || refused && fault.KindOf(err) != fault.Security {
					t.Errorf("%s: %s %q: %+v, %v; want refused %t, else not found", when, name, text, got, err, refused)
				}
			}
		}
	}
	check("TK-44: before the first token", f.Service, wellFormed, true)
	check("before the first token", f.Service, garbage, false)
	made := f.grant(t, client("c"), passwordGrant("u"))
	for when, s := range map[string]*token.Service{"TK-43, TK-44: after the first": f.Service, "after a restart": f.over(f.store)} {
		check(when, s, wellFormed, false)
		check(when, s, garbage, false)
	}
	f.invalidate(t, token.InvalidateRequest{Token: made.Refresh}, token.Invalidated{})
	f.invalidate(t, token.InvalidateRequest{RefreshToken: made.Access}, token.Invalidated{})
	f.accepted(t, made.Access)
}

func TestInvalidateByUserAndRealm(t *testing.T) {
	f, c := newFixture(t), client("c")
	other := client("u")
	other.Realm = access.Realm{Name: "ldap1", Type: "ldap"}
	key := apiKey("k", "manage_token")
	f.house.keys["k"] = key
	runAs := &access.Caller{Type: access.ByRealm, Subject: client("u").Subject, By: &other.Subject}
	issue := func() (all []token.Granted) {
		for range 3 {
			all = append(all, f.grant(t, c, passwordGrant("u"))) // 2 halves
		}
		all = append(all,
			f.grant(t, c, passwordGrant("v")),    // 2
			f.grant(t, other, clientCredentials), // 1 of u in ldap1
			f.grant(t, runAs, clientCredentials), // 1 of u in default_native
			f.grant(t, key, clientCredentials))   // 1 of owner
		for _, g := range all {
			f.accepted(t, g.Access)
		}
		return all
	}
	tests := []struct {
		name string
		req  token.InvalidateRequest
		now  int
		live [7]bool
	}{
		{"TK-45: by user, in all realms", token.InvalidateRequest{Username: "u"}, 8, [7]bool{false, false, false, true, false, false, true}},
		{"TK-45: by realm", token.InvalidateRequest{Realm: "default_native"}, 9, [7]bool{false, false, false, false, true, false, true}},
		{"TK-46: a realm of nobody", token.InvalidateRequest{Realm: "saml"}, 0, [7]bool{true, true, true, true, true, true, true}},
		{"TK-47: both", token.InvalidateRequest{Username: "u", Realm: "ldap1"}, 1, [7]bool{true, true, true, true, false, true, true}},
		{"no wildcards", token.InvalidateRequest{Username: "*"}, 0, [7]bool{true, true, true, true, true, true, true}},
		{"letter case counts", token.InvalidateRequest{Username: "U"}, 0, [7]bool{true, true, true, true, true, true, true}},
		{"a blank realm is none", token.InvalidateRequest{Username: "v", Realm: " \t"}, 2, [7]bool{true, true, true, false, true, true, true}},
		{"the owner of a key", token.InvalidateRequest{Username: "owner"}, 1, [7]bool{true, true, true, true, true, true, false}},
		{"the realm of keys", token.InvalidateRequest{Realm: "_es_api_key"}, 1, [7]bool{true, true, true, true, true, true, false}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			all := issue()
			f.invalidate(t, tt.req, token.Invalidated{Now: tt.now, Found: true})
			for i, g := range all {
				if tt.live[i] {
					f.accepted(t, g.Access)
				} else {
					wantOver(t, f.Service, g.Access)
				}
				if g.Refresh != "" && !tt.live[i] {
					f.refused(t, c, g.Refresh, "token has been invalidated")
				}
			}
			for _, realm := range []string{"default_native", "ldap1", "_es_api_key"} { // for the next
				if _, err := f.Invalidate(t.Context(), client("admin"), token.InvalidateRequest{Realm: realm}); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

func TestBulkCountsHalvesFoundOff(t *testing.T) {
	f, c := newFixture(t), client("c")
	a := f.grant(t, c, passwordGrant("u"))
	f.grant(t, c, refreshGrant(a.Refresh)) // used, and counted all the same
	f.invalidate(t, token.InvalidateRequest{Token: a.Access}, token.Invalidated{Now: 1, Found: true})
	f.invalidate(t, token.InvalidateRequest{Username: "u"}, token.Invalidated{Now: 3, Before: 1, Found: true})
	f.invalidate(t, token.InvalidateRequest{Username: "u"}, token.Invalidated{Found: true})
}

func TestRulesOfInvalidation(t *testing.T) {
	f := newFixture(t)
	tests := []struct {
		name   string
		req    token.InvalidateRequest
		kind   fault.Kind
		reason string
	}{
		{"TK-48", token.InvalidateRequest{Token: "t", Username: "u"}, fault.Invalid,
			"Validation Failed: 1: a token string must not be given together with [realm_name] or [username];2: a token type must not be given together with [realm_name] or [username];"},
		{"a refresh token and a realm", token.InvalidateRequest{RefreshToken: "t", Realm: "r"}, fault.Invalid, ""},
		{"TK-49", token.InvalidateRequest{Token: "t", RefreshToken: "r"}, fault.Malformed, ""},
		{"TK-50", token.InvalidateRequest{}, fault.Invalid,
			"Validation Failed: 1: a token string is required: give [token] or [refresh_token], or choose by [realm_name] or [username];"},
		{"only blanks", token.InvalidateRequest{Username: " ", Realm: "\n"}, fault.Invalid, ""},
	}
	for _, tt := range tests {
		_, err := f.Invalidate(t.Context(), client("nobody", "monitor"), tt.req) // before the privilege
		r, ok := errors.AsType[*fault.Error](err)
		if !ok || r.Kind != tt.kind || tt.reason != "" && r.Reason != tt.reason {
			t.Errorf("%s: %v; want kind %d %s", tt.name, err, tt.kind, tt.reason)
		}
	}
}

// A store that loses its answer has perhaps done the work.
type lostAnswer struct {
	*sqlstore.DB
	lose error
}

func (l *lostAnswer) InvalidateTokens(ctx context.Context, sel token.Selector, at time.Time, _ func([]token.Hash)) (token.Halves, error) {
	if _, err := l.DB.InvalidateTokens(ctx, sel, at, func([]token.Hash) {}); err != nil {
		return token.Halves{}, err
	}
	return token.Halves{}, l.lose
}

func TestInvalidateWithLostAnswer(t *testing.T) {
	for _, lost := range []error{context.DeadlineExceeded, fault.New(fault.Unknown, "not confirmed")} {
		f := newFixture(t)
		s := f.over(&lostAnswer{f.store, lost})
		made := f.grant(t, client("c"), passwordGrant("u"))
		if _, err := s.Verify(t.Context(), made.Access); err != nil { // warms the cache
			t.Fatal(err)
		}
		if _, err := s.Invalidate(t.Context(), client("c"), token.InvalidateRequest{Username: "u"}); !errors.Is(err, lost) {
			t.Errorf("invalidate: %v; want the store's error", err)
		}
		wantOver(t, s, made.Access)
	}
}

// away is a store that cannot be reached.
type away struct{ *sqlstore.DB }

var errAway = fault.New(fault.Unavailable, "away")

func (away) InsertToken(context.Context, token.Record) error { return errAway }
func (away) Issued(context.Context) (bool, error)            { return false, errAway }
func (away) Token(context.Context, token.Hash) (token.Record, error) {
	return token.Record{}, errAway
}
func (away) UseRefreshToken(context.Context, token.Hash, func(token.Record) token.Use, func([]token.Hash)) (token.Record, error) {
	return token.Record{}, errAway
}
func (away) InvalidateTokens(context.Context, token.Selector, time.Time, func([]token.Hash)) (token.Halves, error) {
	return token.Halves{}, errAway
}

// A client must not throw away a good token because the store is away.
func TestTheStoreIsAway(t *testing.T) {
	f, c := newFixture(t), client("c")
	s := f.over(away{})
	errs := map[string]error{}
	_, errs["verify"] = s.Verify(t.Context(), secret.NewAccessToken())
	_, errs["client_credentials"] = s.Grant(t.Context(), c, clientCredentials)
	_, errs["password"] = s.Grant(t.Context(), c, passwordGrant("u"))
	_, errs["refresh"] = s.Grant(t.Context(), c, refreshGrant(secret.NewRefreshToken()))
	for name, req := range map[string]token.InvalidateRequest{
		"token": {Token: secret.NewAccessToken()}, "refresh_token": {RefreshToken: secret.NewRefreshToken()}, "user": {Username: "u"}, "base64": {Token: "AAECAwQ="},
	} {
		_, errs["invalidate "+name] = s.Invalidate(t.Context(), c, req)
	}
	for name, err := range errs {
		if fault.KindOf(err) != fault.Unavailable {
			t.Errorf("%s: %v; want Unavailable", name, err)
		}
	}
}
