// Package optest runs a small OpenID Connect provider for tests: it logs in
// whom it is told to, and insists on what the standard asks of its clients.
package optest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// What the provider knows of its one client.
const (
	ClientID     = "latchkey"
	ClientSecret = "what the client proves itself with: it has more than 48 bytes"
	RedirectURI  = "https://app.example.org/callback"
	AfterLogout  = "https://app.example.org/bye"
)

// Provider is a running provider, which signs with ES256. Fields change between
// requests only.
type Provider struct {
	URL    string // of the provider, which is its issuer, too
	CA     []byte // PEM of whom to trust
	Client *http.Client
	Now    func() time.Time
	// Alter changes the claims of an ID token before it is signed.
	Alter func(claims map[string]any)
	// Info is what the provider tells about its users beside "sub".
	Info map[string]any
	// AuthMethod is how the client has to prove itself.
	AuthMethod string
	// Shared signs with HS256 and the client's secret.
	Shared bool
	// Failing has all calls but the login fail.
	Failing bool

	server *httptest.Server
	key    *ecdsa.PrivateKey

	mu        sync.Mutex
	codes     map[string]login
	tokens    map[string]string // users by access token
	Redeemed  int               // codes
	LoggedOut []string          // users
}

type login struct{ user, nonce string }

// Start starts a provider.
func Start() (*Provider, error) {
	p := &Provider{Now: time.Now, AuthMethod: "client_secret_basic", codes: map[string]login{}, tokens: map[string]string{}}
	var err error
	if p.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /authorize", p.authorize)
	mux.HandleFunc("POST /token", p.token)
	mux.HandleFunc("GET /userinfo", p.userinfo)
	mux.HandleFunc("GET /keys", p.keys)
	mux.HandleFunc("GET /logout", p.logout)
	p.server = httptest.NewTLSServer(mux)
	p.URL, p.Client = p.server.URL, p.server.Client()
	p.Client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	p.CA = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.server.Certificate().Raw})
	return p, nil
}

// Stop stops the provider.
func (p *Provider) Stop() { p.server.Close() }

// LogIn is what a browser does: it goes to address, the user logs in, and the
// provider sends the browser to where it returns.
func (p *Provider) LogIn(address, user string) (string, error) {
	resp, err := p.Client.Get(address + "&test_user=" + url.QueryEscape(user))
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusFound {
		return "", fmt.Errorf("the provider answers %s", resp.Status)
	}
	return resp.Header.Get("Location"), nil
}

func (p *Provider) authorize(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	if q.Get("client_id") != ClientID || q.Get("redirect_uri") != RedirectURI || q.Get("nonce") == "" || q.Get("state") == "" ||
		!slices.Contains(strings.Fields(q.Get("scope")), "openid") {
		http.Error(w, "this is no request of the client", http.StatusBadRequest)
		return
	}
	user, back := q.Get("test_user"), url.Values{"state": {q.Get("state")}}
	if hint := q.Get("login_hint"); user == "" {
		user = hint
	}
	mark := "#"
	switch q.Get("response_type") {
	case "code":
		code := rand.Text()
		p.mu.Lock()
		p.codes[code] = login{user, q.Get("nonce")}
		p.mu.Unlock()
		back.Set("code", code)
		mark = "?"
	case "id_token":
		back.Set("id_token", p.IDToken(user, q.Get("nonce"), ""))
	case "id_token token":
		access := p.access(user)
		back.Set("access_token", access)
		back.Set("id_token", p.IDToken(user, q.Get("nonce"), access))
	}
	if user == "nobody" {
		back = url.Values{"state": {q.Get("state")}, "error": {"access_denied"}, "error_description": {"the user does not want to"}}
	}
	http.Redirect(w, r, RedirectURI+mark+back.Encode(), http.StatusFound)
}

func (p *Provider) access(user string) string {
	access := rand.Text()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.tokens[access] = user
	return access
}

// IDToken signs an ID token; access is the access token beside it, if any.
func (p *Provider) IDToken(user, nonce, access string) string {
	now := p.Now()
	claims := map[string]any{
		"iss": p.URL, "aud": ClientID, "sub": user, "nonce": nonce, "iat": now.Unix(), "exp": now.Add(5 * time.Minute).Unix(),
		"email": user + "@example.org", "groups": []string{"staff", user + "s"},
	}
	if access != "" {
		sum := sha256.Sum256([]byte(access))
		claims["at_hash"] = base64.RawURLEncoding.EncodeToString(sum[:16])
	}
	if p.Alter != nil {
		p.Alter(claims)
	}
	return p.Sign(claims)
}

// Sign signs any claims.
func (p *Provider) Sign(claims map[string]any) string {
	key := jose.SigningKey{Algorithm: jose.ES256, Key: p.key}
	if p.Shared {
		key = jose.SigningKey{Algorithm: jose.HS256, Key: []byte(ClientSecret)}
	}
	signer, err := jose.NewSigner(key, (&jose.SignerOptions{}).WithHeader("kid", "k1"))
	if err != nil {
		panic(err)
	}
	text, err := json.Marshal(claims)
	if err != nil {
		panic(err)
	}
	jws, err := signer.Sign(text)
	if err != nil {
		panic(err)
	}
	token, err := jws.CompactSerialize()
	if err != nil {
		panic(err)
	}
	return token
}

func (p *Provider) keys(w http.ResponseWriter, _ *http.Request) {
	p.answer(w, jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: p.key.Public(), KeyID: "k1", Algorithm: "ES256", Use: "sig"}}})
}

func (p *Provider) token(w http.ResponseWriter, r *http.Request) {
	deny := func(code string) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprintf(w, `{"error":%q,"error_description":"no"}`, code)
	}
	if !p.knows(r) {
		deny("invalid_client")
		return
	}
	p.mu.Lock()
	l, ok := p.codes[r.FormValue("code")]
	delete(p.codes, r.FormValue("code"))
	p.mu.Unlock()
	if !ok || r.FormValue("grant_type") != "authorization_code" || r.FormValue("redirect_uri") != RedirectURI {
		deny("invalid_grant")
		return
	}
	access := p.access(l.user)
	p.mu.Lock()
	p.Redeemed++
	p.mu.Unlock()
	p.answer(w, map[string]any{"access_token": access, "token_type": "Bearer", "expires_in": 300, "id_token": p.IDToken(l.user, l.nonce, access)})
}

// knows reports whether the client proves itself.
func (p *Provider) knows(r *http.Request) bool {
	id, secret, basic := r.BasicAuth()
	switch p.AuthMethod {
	case "client_secret_basic":
		id, _ = url.QueryUnescape(id)
		secret, _ = url.QueryUnescape(secret)
		return basic && id == ClientID && secret == ClientSecret
	case "client_secret_post":
		return !basic && r.FormValue("client_id") == ClientID && r.FormValue("client_secret") == ClientSecret
	}
	jws, err := jose.ParseSignedCompact(r.FormValue("client_assertion"), []jose.SignatureAlgorithm{jose.HS384})
	if err != nil || basic || r.FormValue("client_secret") != "" {
		return false
	}
	text, err := jws.Verify([]byte(ClientSecret))
	var claims struct {
		Iss, Sub, Aud, Jti string
		Exp                int64
	}
	return err == nil && json.Unmarshal(text, &claims) == nil && claims.Iss == ClientID && claims.Sub == ClientID &&
		claims.Aud == p.URL+"/token" && claims.Jti != "" && claims.Exp > p.Now().Unix() &&
		r.FormValue("client_assertion_type") == "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
}

func (p *Provider) userinfo(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	user, ok := p.tokens[strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")]
	p.mu.Unlock()
	if !ok {
		http.Error(w, "who?", http.StatusUnauthorized)
		return
	}
	info := map[string]any{"sub": user}
	for name, v := range p.Info {
		info[name] = v
	}
	p.answer(w, info)
}

// logout takes an ID token that it has signed, also one that has expired.
func (p *Provider) logout(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	jws, err := jose.ParseSignedCompact(q.Get("id_token_hint"), []jose.SignatureAlgorithm{jose.ES256})
	if err != nil || q.Get("post_logout_redirect_uri") != AfterLogout {
		http.Error(w, "this is no logout of the client", http.StatusBadRequest)
		return
	}
	text, err := jws.Verify(p.key.Public())
	var claims struct{ Sub string }
	if err != nil || json.Unmarshal(text, &claims) != nil {
		http.Error(w, "the ID token is none of ours", http.StatusBadRequest)
		return
	}
	p.mu.Lock()
	p.LoggedOut = append(p.LoggedOut, claims.Sub)
	p.mu.Unlock()
	http.Redirect(w, r, AfterLogout+"?state="+url.QueryEscape(q.Get("state")), http.StatusFound)
}

func (p *Provider) answer(w http.ResponseWriter, body any) {
	if p.Failing {
		http.Error(w, "<html>out of order</html>", http.StatusBadGateway)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(body)
}
