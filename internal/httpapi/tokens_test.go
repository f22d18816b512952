package httpapi

import (
	"context"
	"encoding/json"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"latchkey/internal/fault"
	"latchkey/internal/sqlstore"
	"latchkey/internal/token"
)

const (
	asT         = "\nAuthorization: Basic {{base64 t:t-password}}"
	ofNobody    = "POST /_security/oauth2/token" + asT + "\n\n" + `{"grant_type":"password","username":"nobody","password":"nobody-password"}`
	credentials = "POST /_security/oauth2/token" + asT + "\n\n" + `{"grant_type":"client_credentials"}`
)

// TK-5: expires_in is what is configured, and the life of the token, too.
func TestTokenTimeout(t *testing.T) {
	h := newHouse(t, false, func(h *house) { h.tokens.Timeout = 90 * time.Second })
	w := startServer(t, h.Services).dial(t)
	acc := w.token(ofNobody, `"expires_in":90`).Access
	const who = "GET /_security/_authenticate\nAuthorization: Bearer "
	h.ahead.Store(int64(80 * time.Second))
	w.expect(who+acc, http.StatusOK)
	h.ahead.Store(int64(100 * time.Second))
	w.expect(who+acc, http.StatusUnauthorized, "invalid_token")
}

// token gets a token.
func (w *wire) token(request string, parts ...string) (made struct {
	Access  string `json:"access_token"`
	Refresh string `json:"refresh_token"`
}) {
	w.t.Helper()
	if err := json.Unmarshal([]byte(w.expect(w.expand(request), http.StatusOK, parts...).body), &made); err != nil {
		w.t.Fatal(err)
	}
	return made
}

// TK-65: the service is off, and nobody is offered it.
func TestTokensSwitchedOff(t *testing.T) {
	h := newHouse(t, false, func(h *house) { h.tokens.Enabled = false })
	w := startServer(t, h.Services, func(o *Options) { o.TokensDisabled = true }).dial(t)
	for what, request := range map[string]string{
		"create":     ofNobody,
		"of oneself": credentials,
		"refresh":    "POST /_security/oauth2/token" + asT + "\n\n" + `{"grant_type":"refresh_token","refresh_token":"x"}`,
		"invalidate": "DELETE /_security/oauth2/token" + asT + "\n\n" + `{"token":"x"}`,
		"all":        "DELETE /_security/oauth2/token" + asT + "\n\n" + `{"username":"x"}`,
	} {
		t.Run(what, func(t *testing.T) {
			w.expect(w.expand(request), http.StatusBadRequest, `"type":"feature_not_enabled_exception"`, `"disabled.feature":"security_tokens"`)
		})
	}
	for what, request := range map[string]string{
		"a wrong password inside": "POST /_security/oauth2/token" + asT + "\n\n" + `{"grant_type":"password","username":"u","password":"wrong"}`,
		"a token":                 "GET /\nAuthorization: Bearer bGthdA==",
		"nothing":                 "GET /",
	} {
		t.Run(what, func(t *testing.T) {
			got := w.expect(w.expand(request), http.StatusUnauthorized)
			if problem := w.differs(got, "401\nWWW-Authenticate: Basic realm=\"security\", charset=\"UTF-8\"\nWWW-Authenticate: ApiKey\n..."); problem != "" {
				t.Error(problem)
			}
		})
	}
}

// HT-48 ID-14: where the roles of the anonymous user do not reach, a credential
// is asked for. What breaks another rule is refused as ever.
func TestAnonymousIsChallenged(t *testing.T) {
	h := newHouse(t, false, func(h *house) { h.anonymous, h.challenge = []string{"granter"}, true })
	w := startServer(t, h.Services).dial(t)
	w.expect("GET /_security/_authenticate", http.StatusOK, `"authentication_type":"anonymous"`)
	got := w.expect("GET /_security/user", http.StatusUnauthorized, "cluster:admin/xpack/security/user/get")
	if challenges := got.header.Values("WWW-Authenticate"); len(challenges) != 3 {
		t.Errorf("the challenges are %q; want all three", challenges)
	}
	w.expect("POST /_security/api_key/grant\n\n"+`{"grant_type":"password","username":"u","password":"wrong","api_key":{"name":"n"}}`, http.StatusForbidden)
	w.expect(w.expand("GET /_security/user"+asT), http.StatusForbidden)
}

// failing is a store of tokens that fails. No read has an unknown outcome.
type failing struct {
	*sqlstore.DB
	err *atomic.Pointer[fault.Error]
}

func (f failing) fail() error {
	if e := f.err.Load(); e != nil {
		return e
	}
	return nil
}

func (f failing) InsertToken(ctx context.Context, r token.Record) error {
	if err := f.fail(); err != nil {
		return err
	}
	return f.DB.InsertToken(ctx, r)
}

func (f failing) Token(ctx context.Context, access token.Hash) (token.Record, error) {
	if err := f.fail(); fault.KindOf(err) == fault.Unavailable {
		return token.Record{}, err
	}
	return f.DB.Token(ctx, access)
}

func (f failing) UseRefreshToken(ctx context.Context, refresh token.Hash, judge func(token.Record) token.Use, changed func([]token.Hash)) (token.Record, error) {
	if err := f.fail(); err != nil {
		return token.Record{}, err
	}
	return f.DB.UseRefreshToken(ctx, refresh, judge, changed)
}

func (f failing) InvalidateTokens(ctx context.Context, sel token.Selector, at time.Time, changed func([]token.Hash)) (token.Halves, error) {
	if err := f.fail(); err != nil {
		return token.Halves{}, err
	}
	return f.DB.InvalidateTokens(ctx, sel, at, changed)
}

// A store that cannot answer refuses no token: it is 503, which clients repeat,
// but for what may have made a token.
func TestTokensOfAStoreThatFails(t *testing.T) {
	var down atomic.Pointer[fault.Error]
	h := newHouse(t, false, func(h *house) {
		h.tokens.CacheMax = 0
		h.kept = func(db *sqlstore.DB) token.Store { return failing{db, &down} }
	})
	w := startServer(t, h.Services).dial(t)
	made := w.token(ofNobody)
	const away, unknown, fine = http.StatusServiceUnavailable, http.StatusInternalServerError, http.StatusOK
	refresh := "POST /_security/oauth2/token" + asT + "\n\n" + `{"grant_type":"refresh_token","refresh_token":"` + made.Refresh + `"}`
	use := "GET /_security/_authenticate\nAuthorization: Bearer " + made.Access
	for _, tt := range []struct {
		what, request string
		unknown       int // what it answers when it may have been done
	}{
		{"get", ofNobody, unknown},
		{"credentials", credentials, unknown},
		{"refresh", refresh, away},
		{"invalidate", "DELETE /_security/oauth2/token" + asT + "\n\n" + `{"refresh_token":"` + made.Refresh + `"}`, away},
		{"invalidate access", "DELETE /_security/oauth2/token" + asT + "\n\n" + `{"token":"` + made.Access + `"}`, away},
		{"invalidate many", "DELETE /_security/oauth2/token" + asT + "\n\n" + `{"username":"nobody"}`, away},
		{"use", use, fine},
		{"grant", "POST /_security/api_key/grant\nAuthorization: Basic {{base64 g:g-password}}\n\n" +
			`{"grant_type":"access_token","access_token":"` + made.Access + `","api_key":{"name":"n"}}`, fine},
	} {
		for kind, status := range map[fault.Kind]int{fault.Unavailable: away, fault.Unknown: tt.unknown} {
			down.Store(fault.New(kind, "the store fails"))
			got := w.expect(w.expand(tt.request), status)
			if again := got.header.Get("Retry-After") != ""; again != (status == away) {
				t.Errorf("%s: Retry-After is there: %t", tt.what, again)
			}
		}
	}
	down.Store(nil)
	w.expect(w.expand(refresh), http.StatusOK)
	w.expect(use, http.StatusOK)
}
