package httpapi

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strings"
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

// A caller whose credential is revoked while the body is still under way does
// nothing any more, whatever the headers told when they came. TK-53
func TestRevokedBeforeTheBodyHasArrived(t *testing.T) {
	h := newHouse(t, false)
	server := startServer(t, h.Services)
	w := server.dial(t)
	const asAdmin = "\nAuthorization: Basic {{base64 admin:admin-password}}"
	admin := func(request, body string) {
		t.Helper()
		w.expect(w.expand(request+asAdmin+"\n\n"+body), http.StatusOK)
	}
	bearer := func() string { return "Bearer " + w.token(credentials).Access }
	tests := []struct {
		name          string
		authorization string
		revoke        func()
		want          int
	}{
		{"nothing is revoked", bearer(), func() {}, http.StatusOK},
		{"token", bearer(), func() { admin("DELETE /_security/oauth2/token", `{"username":"t"}`) }, http.StatusUnauthorized},
		{"API key", w.expand("ApiKey {{base64 " + keyOfAdmin(t, w) + "}}"), func() { admin("DELETE /_security/api_key", `{"name":"of admin"}`) }, http.StatusUnauthorized},
		{"user", w.expand("Basic {{base64 t:t-password}}"), func() { admin("PUT /_security/user/t/_disable", "") }, http.StatusUnauthorized},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			conn, err := net.Dial("tcp", server.addr)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			write := func(s string) {
				if _, err := io.WriteString(conn, s); err != nil {
					t.Fatal(err)
				}
			}
			const body = `{"grant_type":"client_credentials"}`
			write("POST /_security/oauth2/token HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: 35\r\nAuthorization: " +
				tt.authorization + "\r\n\r\n" + body[:5])
			time.Sleep(2 * promptBody) // the headers have been judged
			tt.revoke()
			write(body[5:])
			answer, err := io.ReadAll(conn)
			if status, _, _ := strings.Cut(string(answer), "\r\n"); err != nil || !strings.HasSuffix(status, http.StatusText(tt.want)) {
				t.Errorf("%s, %v; want %d\n%s", status, err, tt.want, answer)
			}
		})
	}
}

// meanwhile is a store in which something happens just before a token is added.
type meanwhile struct {
	*sqlstore.DB
	happens atomic.Pointer[func()]
}

func (m *meanwhile) InsertToken(ctx context.Context, r token.Record) error {
	if f := m.happens.Swap(nil); f != nil {
		(*f)()
	}
	return m.DB.InsertToken(ctx, r)
}

// A token that is revoked while it gets itself a successor brings none: whoever
// renews one without a pause must not outlive every revocation. TK-53
func TestRevokedWhileATokenIsMade(t *testing.T) {
	store := &meanwhile{}
	h := newHouse(t, false, func(h *house) {
		h.kept = func(db *sqlstore.DB) token.Store { store.DB = db; return store }
	})
	server := startServer(t, h.Services)
	w, admin := server.dial(t), server.dial(t)
	revoke := func(request string) func() {
		return func() {
			admin.expect(admin.expand(strings.Replace(request, "\n", "\nAuthorization: Basic {{base64 admin:admin-password}}\n", 1)), http.StatusOK)
		}
	}
	acc := w.token(credentials).Access
	key := w.expand("ApiKey {{base64 " + keyOfAdmin(t, w) + "}}")
	basic := func(name string) string { return w.expand("Basic {{base64 " + name + ":" + name + "-password}}") }
	own := `{"grant_type":"client_credentials"}`
	asS := basic("admin") + "\nes-security-runas-user: s"
	tests := []struct {
		name, authorization, body string
		happens                   func()
		want                      int
	}{
		{"nothing", "Bearer " + acc, own, func() {}, http.StatusOK},
		{"the token is revoked", "Bearer " + acc, own, revoke("DELETE /_security/oauth2/token\n\n" + `{"username":"t"}`), http.StatusUnauthorized},
		{"the key is revoked", key, own, revoke("DELETE /_security/api_key\n\n" + `{"name":"of admin"}`), http.StatusUnauthorized},
		{"the user is cut off", basic("t"), own, revoke("DELETE /_security/user/t?invalidate_tokens=true\n"), http.StatusUnauthorized},
		{"the user that is run as is cut off", asS, own, revoke("DELETE /_security/user/s?invalidate_tokens=true\n"), http.StatusForbidden},
		{"the user of the password is cut off", basic("admin"), `{"grant_type":"password","username":"v","password":"v-password"}`,
			revoke("PUT /_security/user/v/_disable?invalidate_tokens=true\n"), http.StatusUnauthorized},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			store.happens.Store(&tt.happens)
			got := w.expect("POST /_security/oauth2/token\nAuthorization: "+tt.authorization+"\n\n"+tt.body, tt.want)
			if strings.Contains(got.body, "access_token") != (tt.want == http.StatusOK) {
				t.Error(got.body)
			}
		})
	}
}

// keyOfAdmin makes an API key of admin that may make tokens, and returns its id and secret.
func keyOfAdmin(t *testing.T, w *wire) string {
	t.Helper()
	got := w.expect(w.expand("POST /_security/api_key\nAuthorization: Basic {{base64 admin:admin-password}}\n\n"+`{"name":"of admin"}`), http.StatusOK)
	var key struct {
		ID     string `json:"id"`
		Secret string `json:"api_key"`
	}
	if err := json.Unmarshal([]byte(got.body), &key); err != nil {
		t.Fatal(err)
	}
	return key.ID + ":" + key.Secret
}
